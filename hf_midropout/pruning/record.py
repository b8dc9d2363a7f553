"""What happened to the neurons during a training: the account that reports and figures are made of."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..scoring.scores import NeuronScores
from ..utils.files import write_json
from .selection import Selection


RECORD_NAME = "midropout_record.json"


@dataclass
class PruningStep:
    """
    One time that neurons were scored and acted on.

    Args:
        step (`int`): Optimizer step after which it happened.
        scores (`NeuronScores`): Scores at that step, of all neurons; those dropped before have 0 bits.
        selection (`Selection`, *optional*): What was kept; `None` if nothing was dropped.
        refused (`str`, *optional*): Why nothing was dropped although it was asked for.
        sweep (`dict`, *optional*): The search of the threshold, see [`sweep.Sweep`].
        baselines (`dict`, *optional*): Other criteria at the same budget, see [`baselines.one_shot_baselines`].
        validation (`dict`): Metrics of the validation rows `"before_pruning"` and `"after_pruning"`, and their number
            `"rows"`; empty without validation data.
        seconds (`dict`): Wall time: `"scoring"` and `"total"`.
    """

    step: int
    scores: NeuronScores
    selection: Selection | None = None
    refused: str | None = None
    sweep: dict[str, Any] | None = None
    baselines: dict[str, Any] | None = None
    validation: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `from_dict` reads it back."""
        content = {**vars(self), "scores": self.scores.to_dict()}
        if self.selection:
            content["selection"] = {
                name: {"kept": mask.nonzero().flatten().tolist(), "threshold": self.selection.threshold[name]}
                for name, mask in self.selection.kept.items()
            }
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PruningStep:
        """Reads what `to_dict` gave."""
        scores = NeuronScores.from_dict(content["scores"])
        selection = None
        if content["selection"]:
            kept = {}
            for name, layer in content["selection"].items():
                kept[name] = torch.zeros(len(scores.layers[name].bits), dtype=torch.bool)
                kept[name][layer["kept"]] = True
            selection = Selection(kept, {name: layer["threshold"] for name, layer in content["selection"].items()})
        return cls(**{**content, "scores": scores, "selection": selection})


@dataclass
class PruningRecord:
    """
    Args:
        config (`dict`): The [`MIDropoutConfig`] as a dictionary.
        max_steps (`int`): Optimizer steps of the whole training.
        pruning_steps (`list[PruningStep]`): In order; usually one.
        after (`NeuronScores`, *optional*): Scores at the end of training, dropped neurons at 0 bits.
        after_retraining (`dict`, *optional*): Metrics of the validation rows at the end of training.
    """

    config: dict[str, Any]
    max_steps: int
    pruning_steps: list[PruningStep] = field(default_factory=list)
    after: NeuronScores | None = None
    after_retraining: dict[str, float] | None = None

    @property
    def step(self) -> int:
        """Optimizer step of the first pruning step."""
        return self.pruning_steps[0].step

    @property
    def before(self) -> NeuronScores:
        """Scores of all neurons, before any was dropped."""
        return self.pruning_steps[0].scores

    @property
    def selection(self) -> Selection | None:
        """The neurons kept in the end; `None` if nothing was dropped."""
        return next((each.selection for each in reversed(self.pruning_steps) if each.selection), None)

    @property
    def refused(self) -> str | None:
        """Why nothing was dropped in the last pruning step, although it was asked for."""
        return self.pruning_steps[-1].refused

    @property
    def validation(self) -> dict[str, Any]:
        """Metrics before the first pruning step, after the last one, and at the end; their number of rows."""
        moments = {**self.pruning_steps[-1].validation, **self.pruning_steps[0].validation}
        if "after_pruning" in self.pruning_steps[-1].validation:
            moments["after_pruning"] = self.pruning_steps[-1].validation["after_pruning"]
        if self.after_retraining:
            moments["after_retraining"] = self.after_retraining
        return moments

    def layers(self) -> list[dict[str, Any]]:
        """
        Per layer: neurons, kept, and mean bits (eq. 3) of all neurons before, of the kept ones before, and of the kept
        ones after. The middle figure tells arithmetic (dropping the lowest raises a mean) from what is learned.
        """
        kept = self.selection.kept if self.selection else None
        before, before_kept = self.before.layer_average(), self.before.layer_average(kept)
        after_kept = self.after.layer_average(kept) if self.after else {}
        return [
            {
                "name": name,
                "neurons": len(layer.bits),
                "kept": int(kept[name].sum()) if kept else len(layer.bits),
                "lowest_bits_kept": float(layer.bits[kept[name]].min()) if kept else None,
                "mean_bits_before": before[name],
                "mean_bits_before_of_kept": before_kept[name],
                "mean_bits_after_of_kept": after_kept.get(name),
            }
            for name, layer in self.before.layers.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `from_dict` reads it back. What follows from others is spelled out for readers."""
        return {
            "config": self.config,
            "max_steps": self.max_steps,
            "step": self.step,
            "label_entropy_bits": self.before.label_entropy,
            "layers": self.layers(),
            "validation": self.validation,
            "refused": self.refused,
            "pruning_steps": [each.to_dict() for each in self.pruning_steps],
            "after": self.after.to_dict() if self.after else None,
            "after_retraining": self.after_retraining,
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PruningRecord:
        """Reads what `to_dict` gave."""
        return cls(
            content["config"],
            content["max_steps"],
            [PruningStep.from_dict(each) for each in content["pruning_steps"]],
            NeuronScores.from_dict(content["after"]) if content["after"] else None,
            content["after_retraining"],
        )

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `midropout_record.json` into `folder`, atomically."""
        write_json(Path(folder) / RECORD_NAME, self.to_dict())

    @classmethod
    def load(cls, folder: str | os.PathLike) -> PruningRecord | None:
        """Reads it back, `None` if there is none."""
        path = Path(folder) / RECORD_NAME
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
