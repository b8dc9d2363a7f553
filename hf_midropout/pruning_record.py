"""What happened to the neurons during a training: the account that reports and figures are made of."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from .files import write_json
from .scores import NeuronScores
from .selection import Selection


RECORD_NAME = "midropout_record.json"


@dataclass
class PruningRecord:
    """
    Args:
        config (`dict`): The [`MIDropoutConfig`] as a dictionary.
        step (`int`): Optimizer step after which neurons were scored.
        max_steps (`int`): Optimizer steps of the whole training.
        before (`NeuronScores`): Scores at that step, of all neurons.
        selection (`Selection`, *optional*): What was kept; `None` if nothing was dropped.
        refused (`str`, *optional*): Why nothing was dropped although it was asked for.
        after (`NeuronScores`, *optional*): Scores at the end of training, dropped neurons at 0 bits.
        validation (`dict`): Metrics of the validation rows `"before_pruning"`, `"after_pruning"` and
            `"after_retraining"`, and their number `"rows"`; empty without validation data.
        seconds (`dict`): Wall time of the prune step: `"scoring"` and `"total"`.
    """

    config: dict[str, Any]
    step: int
    max_steps: int
    before: NeuronScores
    selection: Selection | None = None
    refused: str | None = None
    after: NeuronScores | None = None
    validation: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

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
                "threshold_bits": self.selection.threshold[name] if self.selection else None,
                "mean_bits_before": before[name],
                "mean_bits_before_of_kept": before_kept[name],
                "mean_bits_after_of_kept": after_kept.get(name),
            }
            for name, layer in self.before.layers.items()
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `from_dict` reads it back."""
        content = asdict(self) | {
            "layers": self.layers(),
            "before": self.before.to_dict(),
            "after": self.after.to_dict() if self.after else None,
        }
        if self.selection:
            content["selection"] = {
                name: {"kept": mask.nonzero().flatten().tolist(), "threshold_bits": self.selection.threshold[name]}
                for name, mask in self.selection.kept.items()
            }
        return content

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PruningRecord:
        """Reads what `to_dict` gave."""
        content = {key: value for key, value in content.items() if key != "layers"}
        content["before"] = NeuronScores.from_dict(content["before"])
        content["after"] = NeuronScores.from_dict(content["after"]) if content["after"] else None
        if content["selection"]:
            kept = {}
            for name, layer in content["selection"].items():
                kept[name] = torch.zeros(len(content["before"].layers[name].bits), dtype=torch.bool)
                kept[name][layer["kept"]] = True
            thresholds = {name: layer["threshold_bits"] for name, layer in content["selection"].items()}
            content["selection"] = Selection(kept, thresholds)
        return cls(**content)

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `midropout_record.json` into `folder`, atomically."""
        write_json(Path(folder) / RECORD_NAME, self.to_dict())

    @classmethod
    def load(cls, folder: str | os.PathLike) -> PruningRecord | None:
        """Reads it back; `None` if there is none."""
        path = Path(folder) / RECORD_NAME
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
