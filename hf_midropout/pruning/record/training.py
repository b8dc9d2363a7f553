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
from .parts import join_scores, plain, split_scores, typed_metrics, typed_validation
from .result import PruningResult
from .schema import FORMAT_VERSION, Layer, Pruning, check_version, read_pruning


@dataclass
class PruningRecord:
    """
    Args:
        config (`dict`): The [`MIDropoutConfig`] as a dictionary.
        max_steps (`int`): Optimizer steps of the whole training.
        pruning_steps (`list[PruningResult]`): In order; usually one.
        after (`NeuronScores`, *optional*): Scores at the end of training, dropped neurons at 0 bits.
        after_retraining (`dict`, *optional*): Metrics of the validation rows at the end of training.
    """

    config: dict[str, Any]
    max_steps: int
    pruning_steps: list[PruningResult] = field(default_factory=list)
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
            [PruningResult.join(number, each, arrays) for number, each in enumerate(pruning.pruning_steps)],
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
