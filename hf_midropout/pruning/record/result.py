"""What came of one pruning: what `prune` returns, and what a training's record has of each of its steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ...scoring.scores import NeuronScores
from ..selection import Selection
from .arrays import Arrays
from .parts import (
    join_scores,
    join_selection,
    plain,
    split_scores,
    split_selection,
    typed_baselines,
    typed_sweep,
    typed_validation,
)
from .schema import Step


@dataclass
class PruningResult:
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
    def join(cls, number: int, step: Step, arrays: Arrays) -> PruningResult:
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
