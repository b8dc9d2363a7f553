"""Batches that are kept until there are enough rows to place the bins, or to be worth counting."""

from __future__ import annotations

from typing import NamedTuple

import torch

from ..copies import Copies


class Batch(NamedTuple):
    """
    Args:
        activations (`torch.Tensor` of shape `[N, K]`): As they came.
        labels (`torch.Tensor` of N rows): As they are kept.
        copies ([`Copies`], *optional*): What is known of copies; `None` if it is to be found.
    """

    activations: torch.Tensor
    labels: torch.Tensor
    copies: Copies | None


class Waiting:
    """Batches in the order in which they came."""

    def __init__(self):
        self.batches: list[Batch] = []
        self.rows = 0

    def add(self, batch: Batch) -> None:
        self.batches.append(batch)
        self.rows += batch.labels.shape[0]  # several times faster than len, and once for each batch

    def first(self, rows: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        """
        The first `rows` rows, which go on waiting: their activations in parts, and their labels.

        Raises:
            `ValueError`: if there is none.
        """
        if not self.batches:
            raise ValueError("No sample was given: needs at least one to place the bins.")
        parts, left = [], rows
        for activations, labels, _ in self.batches:
            parts.append((activations[:left], labels[:left]))
            left -= len(parts[-1][1])
            if left <= 0:
                break
        return [activations for activations, _ in parts], torch.cat([labels for _, labels in parts])

    def take(self, rows: int) -> list[Batch]:
        """The first batches, of `rows` rows together or a little more, which no longer wait."""
        taken, number = 0, 0
        while number < len(self.batches) and (number == 0 or taken < rows):
            taken += len(self.batches[number].labels)
            number += 1
        batches, self.batches = self.batches[:number], self.batches[number:]
        self.rows -= taken
        return batches
