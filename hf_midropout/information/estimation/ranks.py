"""Counts in equal-mass bins of activations that are in memory: exact, from a sort."""

from __future__ import annotations

import numpy as np
import torch

from ..keys import BLOCK_KEYS
from ..parallel import map_blocks


PANEL_ELEMENTS = 2**27
"""Activations transposed at once: torch is fast at it if it is all of them, but the copy takes memory."""
ORDER_ELEMENTS = 2**25
"""Activations whose order is kept at once, which takes some 60 bytes for each."""


def rank_counts(activations: torch.Tensor, labels: torch.Tensor, num_classes: int, bins: int) -> torch.Tensor:
    """
    Counts of (bin, class), bins of equal mass in the order of the activations. Samples of equal activation fall
    together into the bin of their mid-rank.

    Args:
        activations (`torch.Tensor` of shape `[N, K]`): Finite activations.
        labels (`torch.Tensor` of shape `[N]`): Classes 0..C-1.
        num_classes (`int`): C.
        bins (`int`): Number of bins.

    Returns:
        `torch.Tensor` of shape `[K, bins, num_classes]`: integer counts.
    """
    if not activations.is_cuda and activations.dtype != torch.float64:
        return _sorted_key_counts(activations, labels.cpu().numpy(), num_classes, bins)
    labels = labels.to(activations.device)

    def count(panel: torch.Tensor) -> torch.Tensor:
        neurons = panel.shape[1]
        order, cell = _rank_bins(panel, bins)
        cell += torch.arange(neurons, device=cell.device)[:, None] * bins
        cell = cell * num_classes + labels[order]
        return torch.bincount(cell.flatten(), minlength=neurons * bins * num_classes).view(neurons, bins, num_classes)

    return torch.cat([count(panel) for panel in _panels(activations, ORDER_ELEMENTS)])


def rank_sums(activations: torch.Tensor, values: torch.Tensor, bins: int) -> torch.Tensor:
    """As `rank_counts`, for `values` of shape `[N, C]` to add up in each bin, soft labels for instance."""

    def add(panel: torch.Tensor) -> torch.Tensor:
        order, bin_of = _rank_bins(panel, bins)
        sums = torch.zeros(values.shape[1], len(order), bins, dtype=values.dtype, device=panel.device)
        for column, column_sums in zip(values.unbind(1), sums, strict=True):
            column_sums.scatter_add_(1, bin_of, column[order])
        return sums.permute(1, 2, 0)

    return torch.cat([add(panel) for panel in _panels(activations, ORDER_ELEMENTS)])


def _panels(activations: torch.Tensor, elements: int) -> tuple[torch.Tensor, ...]:
    """`[N, K]` activations cut into some neurons at a time."""
    return activations.split(max(1, elements // len(activations)), 1)


def _rank_bins(activations: torch.Tensor, bins: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`[K, N]` order of the samples of each neuron, and the bin of each sample in that order."""
    samples = len(activations)
    ordered, order = activations.t().contiguous().sort(dim=1)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    last = torch.ones_like(first)
    last[:, :-1] = first[:, 1:]
    rank = torch.arange(samples, device=activations.device).expand_as(order)
    start = torch.where(first, rank, 0).cummax(1).values
    end = torch.where(last, rank + 1, samples).flip(1).cummin(1).values.flip(1)
    return order, (start + end) * bins // (2 * samples)


def _sorted_key_counts(activations: torch.Tensor, labels: np.ndarray, num_classes: int, bins: int) -> torch.Tensor:
    """By one sort of keys per neuron: the activation in the high bits, the class in the low ones."""
    ranks = RankBins(len(activations), bins)
    labels = labels.astype(np.int64)
    panels = [
        _count_panel(panel.float().t().contiguous().numpy(), labels, num_classes, ranks)
        for panel in _panels(activations, PANEL_ELEMENTS)
    ]
    return torch.from_numpy(np.concatenate(panels)).view(-1, bins, num_classes)


class RankBins:
    """
    Which bin each rank lies in, bins of equal mass.

    Args:
        samples (`int`): N.
        bins (`int`): Number of bins.
    """

    def __init__(self, samples: int, bins: int):
        self.samples, self.bins = samples, bins
        self.of_rank = (2 * np.arange(samples) + 1) * bins // (2 * samples)
        self.starts = np.searchsorted(self.of_rank, np.arange(bins + 1))
        """`[bins + 1]` ranks at which the bins begin."""

    def beside_ties(self, keys: np.ndarray, fields: int) -> tuple[np.ndarray, np.ndarray]:
        """
        Of sorted `[K, N]` integer keys the rows in which samples would be cut apart whose keys differ in the bits
        `fields` at most, and the `[rows, N]` bins of their ranks such that they lie together in the bin of their
        mid-rank.
        """
        inner = np.flatnonzero((self.starts > 0) & (self.starts < self.samples))
        at = self.starts[inner]
        row, cut = np.nonzero((keys[:, at - 1] ^ keys[:, at]) & ~fields == 0)
        if len(row) == 0:
            return row, self.of_rank[:0]
        tied = keys[row, at[cut]] & ~fields
        new = (row[1:] != row[:-1]) | (tied[1:] != tied[:-1])
        first, last = np.flatnonzero(np.append(True, new)), np.flatnonzero(np.append(new, True))
        # A run of equal samples ends less than a bin beyond the cuts that it spans.
        steps = np.arange(1, np.diff(self.starts).max() + 1)
        before, after = at[cut[first]][:, None] - steps, at[cut[last]][:, None] + steps - 1
        start, end = at[cut[first]], at[cut[last]]
        for bound, beyond, sign in ((start, before, -1), (end, after, 1)):
            near = keys[row[first][:, None], np.clip(beyond, 0, self.samples - 1)] & ~fields
            inside = (beyond >= 0) & (beyond < self.samples)
            bound += sign * (inside & (near == tied[first][:, None])).sum(1)
        middle = (start + end) * self.bins // (2 * self.samples)
        start, end, middle = (np.repeat(each, last - first + 1) for each in (start, end, middle))
        rows, which = np.unique(row, return_inverse=True)
        cuts = np.tile(self.starts[1:-1], (len(rows), 1))
        cuts[which, inner[cut] - 1] = np.where(inner[cut] <= middle, start, end)
        cuts += np.arange(len(rows))[:, None] * (self.samples + 1)
        begun = np.bincount(cuts.ravel(), minlength=len(rows) * (self.samples + 1))
        return rows, begun.reshape(len(rows), -1)[:, :-1].cumsum(1)


def _count_panel(activations: np.ndarray, labels: np.ndarray, num_classes: int, ranks: RankBins) -> np.ndarray:
    """`[K, bins * C]` counts of `[K, N]` float32 activations."""
    fields = (1 << (num_classes - 1).bit_length()) - 1
    cells_per_neuron = ranks.bins * num_classes

    def count(rows: slice) -> np.ndarray:
        # float64 sorts as float32 does, and has 29 more bits for the class. Adding 0 makes -0.0 and 0.0 the same.
        values = np.add(activations[rows], 0.0, dtype=np.float64)
        keys = values.view(np.int64)
        keys |= labels
        values.sort(axis=1)
        first_cell = np.arange(len(keys))[:, None] * cells_per_neuron
        cells = ranks.of_rank * num_classes + first_cell
        tied, bins = ranks.beside_ties(keys, fields)
        if len(tied):
            cells[tied] = bins * num_classes + first_cell[tied]
        keys &= fields
        cells += keys
        return np.bincount(cells.ravel(), minlength=len(keys) * cells_per_neuron).reshape(len(keys), -1)

    return np.concatenate(map_blocks(count, len(activations), len(labels), BLOCK_KEYS))
