"""Remembers rows that were given, to tell those that come again."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch

from ..copies import Copies
from .locking import Locked


MAX_ROWS = 2**22
"""Rows remembered, at 16 bytes each. Among so many, copies of those beyond add less than 0.001 bits to noise."""


class Pairs(NamedTuple):
    """
    Keys with the labels that they came with, each pair once.

    Args:
        keys (`numpy.ndarray` of shape `[n]`): int64.
        labels (`numpy.ndarray` of shape `[n]`): int32.
        counts (`numpy.ndarray` of shape `[n]`): int32, how often the pair came.
    """

    keys: np.ndarray
    labels: np.ndarray
    counts: np.ndarray

    @classmethod
    def joined(cls, parts: list[Pairs]) -> Pairs:
        return cls(*map(np.concatenate, zip(*parts, strict=True)))

    def at(self, places: np.ndarray) -> Pairs:
        return Pairs(*(part[places] for part in self))

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of pairs in the order of their keys, those of `keys`: which of these each has, and its place."""
        start = np.searchsorted(self.keys, keys)
        (which,) = np.nonzero(self.keys[np.minimum(start, len(self.keys) - 1)] == keys)
        if len(which) == 0:
            return which, which
        start = start[which]
        number = np.searchsorted(self.keys, keys[which], side="right") - start
        place = np.arange(number.sum()) + np.repeat(start - np.cumsum(number) + number, number)
        return np.repeat(which, number), place


class RowsSeen(Locked):
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
        super().__init__()
        self._runs: list[Pairs] = []  # in the order of their keys, each less than half as long as the one before
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

        Raises:
            `ValueError`: for keys and labels that are not `[N]` integers.
        """
        for name, values in {"keys": keys, "labels": keys if labels is None else labels}.items():
            if values.shape != (len(keys),) or values.is_floating_point() or values.is_complex():
                raise ValueError(f"{name} {tuple(values.shape)} of {values.dtype}: must be one integer for each row.")
        key = keys.cpu().numpy().astype(np.int64, copy=False)
        label = np.zeros(len(key), np.int32)
        if labels is not None:
            label = labels.cpu().numpy().astype(np.int32, copy=False)
        with self._lock:
            copies = self._add(key, label, are_told_apart)
        return copies if labels is not None else copies._replace(labels=torch.full_like(copies.labels, -1))

    def _add(
        self, key: np.ndarray, label: np.ndarray, are_told_apart: Callable[[np.ndarray], np.ndarray] | None
    ) -> Copies:
        rows = np.flatnonzero(label >= 0)
        rows = rows[np.argsort(key[rows])]
        first = _begins(key[rows])
        if not first.all():
            rows = np.sort(rows)
            rows = rows[np.lexsort((label[rows], key[rows]))]  # slower; rows of one key and label stay in order
        number = np.cumsum(first) - 1  # of the key of each row
        keys = key[rows[first]]
        repeated = np.bincount(number, minlength=len(keys)) > 1
        met = [run.find(keys) for run in self._runs]
        for which, _ in met:
            repeated[which] = True
        alone = rows[~repeated[number]]
        alone = Pairs(key[alone], label[alone], np.ones(len(alone), np.int32))
        if not repeated.any():
            self._remember(alone)
            return Copies.of_entries([])
        if are_told_apart is not None:
            copied = np.flatnonzero(repeated[number])
            repeated[number[copied[~are_told_apart(rows[copied])]]] = False
        row_of_key, chosen = rows[first], repeated[number]
        rows, number = rows[chosen], number[chosen]
        (start,) = np.nonzero(_begins(number) | _begins(label[rows]))
        given = Pairs(number[start], label[rows[start]], np.diff(np.append(start, len(rows))).astype(np.int32))
        met = [(which[repeated[which]], place[repeated[which]]) for which, place in met]
        pairs, before = self._counted(given, met)
        new = before == 0
        self._remember(Pairs.joined([alone, Pairs(keys[pairs.keys], pairs.labels, pairs.counts).at(new)]))
        return _copies(pairs, before, row_of_key)

    def _counted(self, given: Pairs, met: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Pairs, np.ndarray]:
        """
        Adds what is `given`, by numbers of keys, to the counts of the pairs that were `met` in each run.

        Returns:
            `tuple[Pairs, numpy.ndarray]`: all pairs of these keys, in order, and their counts before.
        """
        runs = list(zip(self._runs, met, strict=True))
        parts = [Pairs(which, run.labels[place], np.zeros(len(place), np.int32)) for run, (which, place) in runs]
        everything = Pairs.joined([*parts, given])
        order = np.lexsort((everything.labels, everything.keys))
        ordered = everything.at(order)
        begins = _begins(ordered.keys) | _begins(ordered.labels)
        (start,) = np.nonzero(begins)
        merged = np.empty(len(order), np.int64)
        merged[order] = np.cumsum(begins) - 1
        counts, before, done = np.add.reduceat(ordered.counts, start), np.zeros(len(start), np.int32), 0
        for run, (_, place) in runs:
            of_run = merged[done : done + len(place)]
            before[of_run] = run.counts[place]
            run.counts[place] += counts[of_run]
            done += len(place)
        return ordered.at(start)._replace(counts=counts + before), before

    def _remember(self, pairs: Pairs) -> None:
        """Adds a run, while there is room."""
        if len(pairs.keys) == 0 or self.num_rows >= MAX_ROWS:
            return
        self.num_rows += len(pairs.keys)
        parts = [pairs]
        while self._runs and len(self._runs[-1].keys) < 2 * sum(len(part.keys) for part in parts):
            parts.insert(0, self._runs.pop())
        joined = Pairs.joined(parts)
        self._runs.append(joined.at(np.argsort(joined.keys, kind="stable")))  # merges what is in order in linear time


def _copies(pairs: Pairs, before: np.ndarray, rows: np.ndarray) -> Copies:
    """What it adds to have `pairs` of numbers of keys, whose counts were `before`; `rows` are those of the keys."""
    after, before = pairs.counts.astype(np.int64), before.astype(np.int64)
    any_after, any_before = (np.bincount(pairs.keys, each).astype(np.int64)[pairs.keys] for each in (after, before))
    same = after * (after - 1) - before * (before - 1)
    of_any = after * (any_after - 1) - before * (any_before - 1)
    again = np.maximum(after - 1, 0) - np.maximum(before - 1, 0)
    parts = np.stack([rows[pairs.keys], pairs.labels, same, of_any, again])
    return Copies(*torch.from_numpy(parts[:, of_any > 0]).unbind())


def _begins(ordered: np.ndarray) -> np.ndarray:
    """`[n]` bool: where a run of equal values begins."""
    return np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
