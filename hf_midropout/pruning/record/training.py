"""What happened to the neurons during a training: the account that reports and figures are made of."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...scoring.scores import NeuronScores
from ...utils.json_files import read_json
from ...utils.report_names import RECORD, json_name
from ...utils.typed_json import from_json, to_json
from ..selection import Selection
from .arrays import AFTER, Arrays, named_arrays, read_arrays, save_with_arrays
from .parts import (
    join_scores,
    join_selection,
    plain,
    split_scores,
    split_selection,
    typed_baselines,
    typed_metrics,
    typed_sweep,
    typed_validation,
)
from .schema import FORMAT_VERSION, Layer, Pruning, Step, check_version, read_pruning


@dataclass
class PruningStep:
    """
    One time that neurons were scored and acted on.

    Args:
        step (`int`): Optimizer step after which it happened.
        scores (`NeuronScores`): Scores at that step, of all neurons; those dropped before have 0 bits.
        selection (`Selection`, *optional*): What was kept; `None` if nothing was dropped.
        refused (`str`, *optional*): Why nothing was dropped although it was asked for.
        sweep (`dict`, *optional*): The search of the threshold, see [`schema.Sweep`].
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

    def split(self, number: int, arrays: Arrays) -> Step:
        """What is JSON of the pruning step `number`; the rest goes into `arrays`."""
        return Step(
            step=self.step,
            scores=split_scores(number, self.scores, arrays),
            selection=split_selection(number, self.selection, arrays) if self.selection else None,
            refused=self.refused,
            sweep=typed_sweep(self.sweep),
            baselines=typed_baselines(self.baselines),
            validation=typed_validation(self.validation),
            seconds=self.seconds,
        )

    @classmethod
    def join(cls, number: int, step: Step, arrays: Arrays) -> PruningStep:
        """What `split` took apart."""
        return cls(
            step=step.step,
            scores=join_scores(number, step.scores, arrays),
            selection=join_selection(number, step.selection, arrays) if step.selection else None,
            refused=step.refused,
            sweep=plain(step.sweep),
            baselines=plain(step.baselines),
            validation=plain(step.validation),
            seconds=step.seconds,
        )


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

    def layers(self) -> list[Layer]:
        """Neurons, kept ones and mean bits of each layer."""
        kept = self.selection.kept if self.selection else None
        before, before_kept = self.before.layer_average(), self.before.layer_average(kept)
        after_kept = self.after.layer_average(kept) if self.after else {}
        return [
            Layer(
                name,
                neurons=len(layer.bits),
                kept=int(kept[name].sum()) if kept else len(layer.bits),
                lowest_bits_kept=float(layer.bits[kept[name]].min()) if kept else None,
                mean_bits_before=before[name],
                mean_bits_before_of_kept=before_kept[name],
                mean_bits_after_of_kept=after_kept.get(name),
            )
            for name, layer in self.before.layers.items()
        ]

    def split(self) -> tuple[Pruning, Arrays]:
        """What is JSON, and the arrays; `join` puts them together."""
        arrays: Arrays = {}
        steps = [each.split(number, arrays) for number, each in enumerate(self.pruning_steps)]
        after = split_scores(AFTER, self.after, arrays) if self.after else None
        pruning = Pruning(
            config=self.config,
            max_steps=self.max_steps,
            step=self.step,
            label_entropy_bits=self.before.label_entropy,
            layers=self.layers(),
            pruning_steps=steps,
            validation=typed_validation(self.validation),
            refused=self.refused,
            after=after,
            after_retraining=typed_metrics(self.after_retraining),
        )
        return pruning, arrays

    @classmethod
    def join(cls, pruning: Pruning, arrays: Arrays) -> PruningRecord:
        """What `split` took apart."""
        return cls(
            pruning.config,
            pruning.max_steps,
            [PruningStep.join(number, each, arrays) for number, each in enumerate(pruning.pruning_steps)],
            join_scores(AFTER, pruning.after, arrays) if pruning.after else None,
            plain(pruning.after_retraining),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content with all arrays, for a Trainer's own checkpoint; `from_dict` reads it back, exactly."""
        pruning, arrays = self.split()
        return {
            "format_version": FORMAT_VERSION,
            **to_json(pruning),
            "arrays": {name: array.tolist() for name, array in arrays.items()},
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> PruningRecord:
        """Reads what `to_dict` gave; `ValueError` if it is of another version of the format."""
        check_version(content)
        arrays = {name: np.asarray(each) for name, each in content["arrays"].items()}
        return cls.join(from_json(Pruning, content), arrays)

    def save(self, folder: str | os.PathLike) -> None:
        """Writes `midropout_record.json` and `midropout_record.safetensors` into `folder`; see `arrays.py`."""
        pruning, arrays = self.split()
        save_with_arrays(Path(folder), RECORD, {"format_version": FORMAT_VERSION, **to_json(pruning)}, arrays)

    @classmethod
    def load(cls, folder: str | os.PathLike) -> PruningRecord | None:
        """
        Reads it back, `None` if there is none.

        Raises:
            `ValueError`: if it is no such record, or of another version of the format.
        """
        path = Path(folder) / json_name(RECORD)
        if not path.exists():
            return None
        content = read_json(path)
        try:
            check_version(content)
            pruning = read_pruning(content)
            return cls.join(pruning, read_arrays(Path(folder), RECORD, named_arrays(pruning)))
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}.") from error
