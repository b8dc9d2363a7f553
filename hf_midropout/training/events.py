"""What is told of a training while it runs, in lines above the Trainer's bar."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from transformers.utils import logging as transformers_logging

from ..utils.narration import bars_are_wanted, tell


if TYPE_CHECKING:
    from transformers import Trainer, TrainingArguments

    from ..pruning.record.result import PruningResult


def bars_shown(args: TrainingArguments) -> bool:
    """Whether bars may be shown: neither the Trainer's arguments nor `transformers.logging` say otherwise."""
    return not args.disable_tqdm and bars_are_wanted()


def tell_event(trainer: Trainer, line: str) -> None:
    """Writes `line` on the main process, unless `transformers.logging` shows errors only."""
    if trainer.is_world_process_zero() and transformers_logging.get_verbosity() <= logging.WARNING:
        tell(line)


def scored(step: PruningResult) -> str:
    """What happened to the neurons at one pruning step."""
    neurons = sum(len(layer.bits) for layer in step.scores.layers.values())
    line = f"step {step.step:,}: scored {neurons:,} neurons in {step.seconds.get('scoring', 0.0):.1f} s"
    if step.selection is not None:
        return f"{line}, kept {sum(int(mask.sum()) for mask in step.selection.kept.values()):,}"
    return f"{line}, dropped none{f': {step.refused}' if step.refused else ''}"
