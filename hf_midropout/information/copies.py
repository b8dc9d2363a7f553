"""Rows that are given more than once: which they are, and how many there are of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from .row_keys import row_keys, rows_are_told_apart, some_values


FREQUENT = 64
"""A row that is more than one in so many may be a value that inputs often take, each time evidence of its own."""
PURE = 63 / 64
"""Such a row that has one label more often than that is taken for one that was repeated on purpose all the same."""
DISCRETE = 15 / 16
"""If frequent rows make up more than that, inputs are discrete, and none of these is a copy."""


class Copies(NamedTuple):
    """
    What the rows of a batch add to the counts of copies, one entry for each different row and label concerned. A row
    that was given m times, with one label, adds m (m - 1) in all to `same` and to `any`, and m - 1 to `again`.

    Args:
        rows (`torch.Tensor` of shape `[n]`): Rows of the batch, by number; one of all copies.
        labels (`torch.Tensor` of shape `[n]`): The class that an entry is for, or -1 for that of its row.
        same (`torch.Tensor` of shape `[n]`): Ordered pairs of copies with that class.
        any (`torch.Tensor` of shape `[n]`): Ordered pairs of a row with that class and a copy with whatever class.
        again (`torch.Tensor` of shape `[n]`): How often that row was given with that class before.
    """

    rows: torch.Tensor
    labels: torch.Tensor
    same: torch.Tensor
    any: torch.Tensor
    again: torch.Tensor

    @classmethod
    def of_entries(cls, entries: list[tuple[int, ...]]) -> Copies:
        return cls(*torch.tensor(entries, dtype=torch.int64).view(-1, 5).unbind(1))

    def moved(self, by: int) -> Copies:
        """The same, with `by` rows before the batch."""
        return self._replace(rows=self.rows + by)

    def spread(self, rows: torch.Tensor, labels: torch.Tensor) -> Copies:
        """
        For a batch that holds each row several times, with several labels.

        Args:
            rows (`torch.Tensor` of shape `[M]`): Of each row of that batch, which row it is of the batch that this is
                about, with one entry a row.
            labels (`torch.Tensor` of shape `[M]`): Its class; -100 to leave it out.
        """
        entry = torch.full((int(rows.max()) + 1 if len(rows) else 0,), -1)
        entry[self.rows] = torch.arange(len(self.rows))
        entry = torch.where(labels >= 0, entry[rows], -1)
        (of_any,) = torch.nonzero(entry >= 0, as_tuple=True)
        entry = entry[of_any]
        return Copies(of_any, labels[of_any], self.same[entry], self.any[entry], self.again[entry])

    @classmethod
    def joined(cls, parts: list[Copies]) -> Copies:
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True))) if parts else cls.of_entries([])


class DistinctRows(NamedTuple):
    """
    D different rows, and how often each is there. Rows with one label are others than those with another. Rows that
    are more than a 64th of all and come with several labels are no copies; nor are any such, if there is little else.

    Args:
        rows (`torch.Tensor` of shape `[D]`): One row of each, by number, in order.
        same (`torch.Tensor` of shape `[D]`): Copies of it that have its label, itself included.
        any (`torch.Tensor` of shape `[D]`): Copies of it, itself included.
    """

    rows: torch.Tensor
    same: torch.Tensor
    any: torch.Tensor

    @classmethod
    def find(
        cls, activations: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor | None = None
    ) -> DistinctRows | None:
        """
        Of `[N, K]` activations with `[N]` integer labels; with `[N]` integer `groups`, rows of one group are copies.
        `None` if there are no copies.
        """
        if groups is not None:
            return cls.of_keys(groups.cpu().numpy(), labels)
        keys = row_keys(some_values(activations)).numpy()
        repeated = _repeated(keys)
        if len(repeated) == 0:
            return None
        rows = torch.from_numpy(repeated)
        keys[repeated] = row_keys(activations, rows).numpy()
        return cls.of_keys(keys, labels, lambda rows: rows_are_told_apart(activations, rows))

    @classmethod
    def of_keys(
        cls,
        keys: np.ndarray,
        labels: torch.Tensor,
        are_told_apart: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> DistinctRows | None:
        """The same of `[N]` integer keys; and given numbers of rows, whether equal keys of these mean copies."""
        repeated = _repeated(keys)
        if len(repeated) == 0:
            return None
        _, row, number = np.unique(keys, return_inverse=True, return_counts=True)
        if are_told_apart is not None:
            chance = repeated[~are_told_apart(torch.from_numpy(repeated)).numpy()]
            row[chance] = len(number) + chance
        label = np.unique(labels.cpu().numpy(), return_inverse=True)[1]
        of_any = np.bincount(row)[row]
        if (frequent := of_any * FREQUENT > len(keys)).any():
            if frequent.mean() <= DISCRETE:
                _, pair, same = np.unique(row * (label.max() + 1) + label, return_inverse=True, return_counts=True)
                most = np.zeros(row.max() + 1, np.int64)
                np.maximum.at(most, row, same[pair])
                frequent &= most[row] < PURE * of_any
            (own,) = np.nonzero(frequent)
            row[own] = len(number) + own
            of_any = np.bincount(row)[row]
        _, first, same = np.unique(row * (label.max() + 1) + label, return_index=True, return_counts=True)
        if len(first) == len(keys):
            return None
        return cls(*map(torch.from_numpy, (first, same, of_any[first])))

    def sums(self) -> torch.Tensor:
        """`[D, 4]`: what each adds to the samples, and to `same`, `any` and `again` of [`Copies`]."""
        return torch.stack([self.same, self.same * (self.same - 1), self.same * (self.any - 1), self.same - 1], 1)


def _repeated(keys: np.ndarray) -> np.ndarray:
    """Numbers of the rows whose key another row has too, in order."""
    ordered = np.sort(keys)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.flatnonzero(np.isin(keys, twice)) if len(twice) else twice
