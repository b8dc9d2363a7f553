"""What is the same for every method: steps, learning rates, and the order in which a seed's rows come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Schedule:
    """
    What is the same for every method.

    Args:
        rows (`int`): Training rows, drawn anew for each seed.
        steps (`int`): Optimizer steps, of which pruning comes after the first half.
        batch_size (`int`): Rows of a step.
        evaluations (`int`): On validation rows, evenly spaced, the last at the end.
        head_widths (`tuple[int, ...]`): Neurons of each hidden layer.
    """

    rows: int
    steps: int
    batch_size: int
    evaluations: int = 10
    head_widths: tuple[int, ...] = (256, 128, 64)

    def learning_rate(self, step: int, rewind: bool) -> float:
        """The factor on the highest learning rate at a step: it falls linearly to 0; again, from half the steps on."""
        if not rewind:
            return 1 - step / self.steps
        half = self.steps // 2
        return 1 - step / half if step < half else 1 - (step - half) / (self.steps - half)

    def evaluated(self) -> set[int]:
        """The steps after which validation rows are looked at."""
        return {self.steps * number // self.evaluations for number in range(1, self.evaluations + 1)}


def chosen_rows(schedule: Schedule, rows: int, seed: int) -> torch.Tensor:
    """`[schedule.rows]` of all training rows."""
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))[: schedule.rows]


class RowOrder:
    """The order of each seed's rows: an epoch after another, each in a new order, cut into batches of one size."""

    def __init__(self, schedule: Schedule, seeds: Sequence[int]):
        self.schedule = schedule
        self.generators = [torch.Generator().manual_seed(seed + 1_000_003) for seed in seeds]
        self.waiting = torch.empty(len(seeds), 0, dtype=torch.long)

    def batch(self, step: int) -> torch.Tensor:
        """`[S, batch_size]` numbers of rows."""
        while self.waiting.shape[1] < self.schedule.batch_size:
            epoch = [torch.randperm(self.schedule.rows, generator=generator) for generator in self.generators]
            self.waiting = torch.cat([self.waiting, torch.stack(epoch)], 1)
        batch, self.waiting = self.waiting.split(
            [self.schedule.batch_size, self.waiting.shape[1] - self.schedule.batch_size], 1
        )
        return batch
