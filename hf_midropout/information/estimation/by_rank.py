"""Estimates from the ranks of activations that are in memory, some neurons at a time."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..copies import DistinctRows
from ..row_keys import row_keys
from .bits import estimate_bits
from .contingency import Table, entropy, num_bins
from .ranks import rank_counts, rank_sums
from .smoothing import BLOCK_CELLS, smoothed_information


BLOCKS_AT_ONCE = 32
"""Blocks of neurons, as they are smoothed, whose tables are made at once: 2^24 cells, 128 MiB."""

Estimates = tuple[torch.Tensor, torch.Tensor]
"""Bits and their standard errors, `[K]` each."""


def class_information(activations: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor | None) -> Estimates:
    """
    Of `[N, K]` activations with `[N]` integer classes; rows of the same of the `[N]` integer `groups` are copies, or
    by default rows that are equal.
    """
    distinct = DistinctRows.find(activations, labels, groups)
    labels = labels.unique(return_inverse=True)[1]  # tables of classes that no row has would be large for nothing
    classes = int(labels.max()) + 1
    if distinct is None:
        bins = num_bins(len(labels))
        cells = bins * classes

        def table(panel: torch.Tensor, bins: int) -> Table:
            return Table(rank_counts(panel, labels, classes, bins))

    else:
        # Ranks are those of the different rows: else a row of many copies would push others out of its bin, and what
        # is left in it would tell the label. Counted are rows of one class of which there are equally many.
        sums, kind = distinct.sums().unique(dim=0, return_inverse=True)
        bins, columns = num_bins(len(kind)), classes * len(sums)
        cells = 4 * bins * (columns + 4 * classes)  # of 64 bits, and the four sums more than once
        kind = labels[distinct.rows.to(labels.device)] * len(sums) + kind.to(labels.device)
        weights = torch.block_diag(*[sums.double()] * classes).to(activations.device)
        activations = activations[distinct.rows.to(activations.device)]

        def table(panel: torch.Tensor, bins: int) -> Table:
            parts = rank_counts(panel, kind, columns, bins).double() @ weights
            counts, *copies = parts.round().long().unflatten(2, (classes, 4)).unbind(3)
            return Table(counts, torch.stack(copies))

    def estimate(panel: torch.Tensor) -> Estimates:
        return estimate_bits(table(panel, bins), lambda neurons, finer: table(panel[:, neurons], finer))

    return _in_blocks(activations, cells, estimate)


def soft_label_information(activations: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor | None) -> Estimates:
    """As `class_information`, of `[N, C]` probabilities."""
    ceiling = float(entropy(labels.sum(0)))
    distinct = DistinctRows.find(activations, row_keys(labels), groups)
    weights = None
    if distinct is not None:
        activations = activations[distinct.rows.to(activations.device)]
        labels, weights = labels[distinct.rows.to(labels.device)], distinct.sums().to(labels)
    bins = num_bins(len(labels))

    def estimate(panel: torch.Tensor) -> Estimates:
        def add_up(values: torch.Tensor) -> torch.Tensor:
            return rank_sums(panel, values, bins)

        if weights is None:
            bits, stderr, _ = smoothed_information(add_up(labels), add_up(labels.square()))
        else:
            number, same, of_any, again = weights[:, :, None].unbind(1)
            copies = [add_up(same * labels.square()), add_up(of_any * labels), add_up(again * labels)]
            bits, stderr, _ = smoothed_information(
                add_up(number * labels), add_up(number * labels.square()), torch.stack(copies)
            )
        return bits.clamp(0.0, ceiling), stderr

    return _in_blocks(activations, bins * labels.shape[1] * (1 if weights is None else 8), estimate)


def _in_blocks(activations: torch.Tensor, cells: int, estimate: Callable[[torch.Tensor], Estimates]) -> Estimates:
    """What `estimate` gives of some neurons at a time, given how many cells the tables of one neuron have."""
    block = BLOCKS_AT_ONCE * max(1, BLOCK_CELLS // cells)
    parts = [estimate(panel) for panel in activations.split(block, 1)]
    bits, stderr = (torch.cat(part) for part in zip(*parts, strict=True))
    return bits, stderr
