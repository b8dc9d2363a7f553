"""Rows that are given more than once: which they are, and how many there are of each."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from .checks import widened


FREQUENT = 64
"""A row that is more than one in so many is a value that inputs often take, of which each is evidence of its own."""
FEWEST_VALUES = 4
"""Different values in a row, so that two rows are not equal by chance: neurons that are all dead or saturated are."""
KEY_RUNS, KEY_RUN = 4, 16
"""Evenly spaced runs of neurons that a row is known by, each a cache line of float32."""
MAX_ROWS = 2**22
"""Rows remembered, at 16 bytes each. Among so many, copies of those beyond add less than 0.001 bits to noise."""


class Copies(NamedTuple):
    """
    What the rows of a batch add to the counts of copies, one entry for each row and label concerned. A row that was
    given m times, with one label, adds m (m - 1) in all to `same` and to `any`, and m - 1 to `again`.

    Args:
        rows (`torch.Tensor` of shape `[n]`): Rows of the batch, by number.
        labels (`torch.Tensor` of shape `[n]`): The class that an entry is for, or -1 for that of its row.
        same (`torch.Tensor` of shape `[n]`): Ordered pairs of copies with that class.
        any (`torch.Tensor` of shape `[n]`): Ordered pairs of a row with that class and a copy with whatever class.
        again (`torch.Tensor` of shape `[n]`): 1 where that row was given with that class before.
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


class RowsSeen:
    """
    Remembers which rows were given, and with which labels. What [`RowsSeen.add`] returns adds up to the same whatever
    the batches and their order. The first `MAX_ROWS` different rows are remembered, at 16 bytes each.

    Example:

    ```python
    >>> import torch
    >>> from hf_midropout.information import NeuronStatistics, RowsSeen

    >>> seen, statistics = RowsSeen(), NeuronStatistics(num_neurons=3, num_classes=2)
    >>> ids, labels = torch.tensor([17, 4, 17, 5]), torch.tensor([0, 1, 0, 1])  # the first row comes twice
    >>> statistics.update(torch.randn(4, 3), labels, copies=seen.add(ids, labels))
    ```
    """

    def __init__(self):
        # Sorted runs of keys, each less than half as long as the one before, and the first label of each key.
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []
        self._repeated: dict[int, dict[int, int]] = {}
        self.num_rows = 0

    def add(
        self,
        keys: torch.Tensor,
        labels: torch.Tensor | None = None,
        are_told_apart: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> Copies:
        """
        Notes the rows of a batch.

        Args:
            keys (`torch.Tensor` of shape `[N]`): An integer for each row, the same for copies of a row and for no
                others: a number in a table, or a hash.
            labels (`torch.Tensor` of shape `[N]`, *optional*): Their integer classes; rows of -100 are not noted.
                Without them, rows of the same key have the same label.
            are_told_apart (`Callable`, *optional*): Given numbers of rows, whether equal keys of these mean copies.

        Returns:
            [`Copies`]
        """
        if len(keys) == 0:
            return Copies.of_entries([])
        key = keys.cpu().numpy().astype(np.int64, copy=False)
        own = labels is None
        label = np.zeros(len(key), np.int64)
        if labels is not None:
            label = labels.cpu().numpy().astype(np.int64, copy=False)
        order = np.argsort(key)
        ordered = key[order]
        first = np.append(True, ordered[1:] != ordered[:-1])
        if not first.all():
            order = np.argsort(key, kind="stable")  # slower; of rows of one key, the first comes first
        met, first_label = self._look_up(ordered)
        new = first & ~met
        if self.num_rows < MAX_ROWS:
            self._remember(ordered[new], label[order[new]])
        alone = first & np.append(first[1:], True)
        if alone.all() and not met.any():
            return Copies.of_entries([])
        candidates = np.sort(order[met | ~alone])
        candidates = candidates[label[candidates] >= 0]
        if len(candidates) and are_told_apart is not None:
            candidates = candidates[are_told_apart(candidates)]
        if len(candidates) == 0:
            return Copies.of_entries([])
        first_of = np.empty(len(key), np.int64)
        first_of[order] = np.where(met, first_label, -1)
        copies = Copies.of_entries(self._entries(candidates, key, label, first_of))
        return copies._replace(labels=torch.full_like(copies.labels, -1)) if own else copies

    def _look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """`[N]` bool: keys that were given before; and the labels they first had."""
        met, labels = np.zeros(len(keys), bool), np.zeros(len(keys), np.int64)
        for known, known_labels in self._runs:
            place = np.searchsorted(known, keys)
            place[place == len(known)] = 0
            found = known[place] == keys
            met |= found
            labels[found] = known_labels[place[found]]
        return met, labels

    def _remember(self, keys: np.ndarray, labels: np.ndarray) -> None:
        if len(keys) == 0:
            return
        self.num_rows += len(keys)
        while self._runs and len(self._runs[-1][0]) < 2 * len(keys):
            before, before_labels = self._runs.pop()
            keys, labels = np.concatenate([before, keys]), np.concatenate([before_labels, labels])
            order = np.argsort(keys, kind="stable")  # merges sorted runs in linear time
            keys, labels = keys[order], labels[order]
        self._runs.append((keys, labels))

    def _entries(self, rows: np.ndarray, key: np.ndarray, label: np.ndarray, first: np.ndarray):
        entries = []
        for row, key_, label_, first_ in zip(
            rows.tolist(), key[rows].tolist(), label[rows].tolist(), first[rows].tolist(), strict=True
        ):
            earlier = self._repeated.get(key_)
            if earlier is None:
                earlier = self._repeated[key_] = {first_: 1} if first_ >= 0 else {}
            mine, total = earlier.get(label_, 0), sum(earlier.values())
            if total:
                entries.append((row, label_, 2 * mine, mine + total, min(mine, 1)))
                entries += [(row, other, 0, number, 0) for other, number in earlier.items() if other != label_]
            earlier[label_] = mine + 1
        return entries


@lru_cache(maxsize=16)
def _multipliers(number: int) -> np.ndarray:
    """`[number]` odd 64-bit integers, the same on every machine."""
    draw = random.Random(0)
    return np.array([draw.getrandbits(64) | 1 for _ in range(number)], dtype=np.uint64)


def row_keys(values: torch.Tensor) -> torch.Tensor:
    """`[N]` int64 hashes of `[N, K]` values: equal for rows whose values are equal, and next to never for others."""
    known_by = key_values(values).cpu().numpy()
    if known_by.dtype == np.float32 and known_by.shape[1] % 2:
        known_by = np.pad(known_by, ((0, 0), (0, 1)))
    bits = np.ascontiguousarray(known_by).view(np.uint64)  # two float32 in one
    return torch.from_numpy((bits @ _multipliers(bits.shape[1])).view(np.int64))


def rows_are_told_apart(values: torch.Tensor) -> torch.Tensor:
    """`[N]` bool: whether rows of `[N, K]` values take different values enough not to be equal by chance."""
    return (key_values(values).sort(1).values.diff(dim=1) != 0).sum(1) + 1 >= FEWEST_VALUES


def key_values(values: torch.Tensor) -> torch.Tensor:
    """The `[N, 64]` of `[N, K]` values, or all if there are fewer, that a row is known by."""
    neurons = values.shape[1]
    if neurons > KEY_RUNS * KEY_RUN:
        starts = [run * (neurons - KEY_RUN) // (KEY_RUNS - 1) for run in range(KEY_RUNS)]
        values = torch.cat([values[:, start : start + KEY_RUN] for start in starts], 1)
    return widened(values) + 0.0  # -0.0 and 0.0 have different bits


class DistinctRows(NamedTuple):
    """
    D different rows, and how often each is there. Rows with one label are others than those with another. Rows that
    are more than a 64th of all are no copies.

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
        keys = (row_keys(activations) if groups is None else groups).cpu().numpy()
        ordered = np.sort(keys)
        if not (ordered[1:] == ordered[:-1]).any():
            return None
        _, row, number = np.unique(keys, return_inverse=True, return_counts=True)
        if groups is None:
            repeated = np.flatnonzero(number[row] > 1)
            chance = repeated[~rows_are_told_apart(activations[torch.from_numpy(repeated)]).cpu().numpy()]
            row[chance] = len(number) + chance
        frequent = np.flatnonzero(np.bincount(row)[row] * FREQUENT > len(keys))
        row[frequent] = len(number) + frequent
        of_any = np.bincount(row)[row]
        label = np.unique(labels.cpu().numpy(), return_inverse=True)[1]
        _, first, same = np.unique(row * (label.max() + 1) + label, return_index=True, return_counts=True)
        if len(first) == len(keys):
            return None
        return cls(*map(torch.from_numpy, (first, same, of_any[first])))

    def sums(self) -> torch.Tensor:
        """`[D, 4]`: what each adds to the samples, and to `same`, `any` and `again` of [`Copies`]."""
        return torch.stack([self.same, self.same * (self.same - 1), self.same * (self.any - 1), self.same - 1], 1)
