"""Counts in equal-mass bins of activations that are in memory: exact, from a sort."""

from __future__ import annotations

import numpy as np
import torch

from .keys import map_blocks, packed_keys


PANEL_ELEMENTS = 2**27
"""Activations transposed at once: torch is fast at it if it is all of them, but the copy takes memory."""


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
        return _sorted_key_counts(activations.float(), labels.cpu().numpy(), num_classes, bins)
    neurons = activations.shape[1]
    order, cell = _rank_bins(activations, bins)
    cell += torch.arange(neurons, device=cell.device)[:, None] * bins
    cell = cell * num_classes + labels.to(cell.device)[order]
    return torch.bincount(cell.flatten(), minlength=neurons * bins * num_classes).view(neurons, bins, num_classes)


def rank_sums(activations: torch.Tensor, values: torch.Tensor, bins: int) -> torch.Tensor:
    """As `rank_counts`, for `values` of shape `[N, C]` to add up in each bin, soft labels for instance."""
    order, bin_of = _rank_bins(activations, bins)
    sums = torch.zeros(values.shape[1], len(order), bins, dtype=values.dtype, device=activations.device)
    for column, column_sums in zip(values.unbind(1), sums, strict=True):
        column_sums.scatter_add_(1, bin_of, column[order])
    return sums.permute(1, 2, 0)


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
    samples, neurons = activations.shape
    counts = torch.empty(neurons, bins, num_classes, dtype=torch.int64)
    shift = max(1, (num_classes - 1).bit_length())
    labels = labels.astype(np.int64)
    width = max(1, PANEL_ELEMENTS // samples)
    for panel, panel_counts in zip(activations.split(width, 1), counts.split(width), strict=True):
        _count_panel(panel.t().contiguous().numpy(), labels, shift, panel_counts.numpy())
    return counts


def _count_panel(activations: np.ndarray, labels: np.ndarray, shift: int, counts: np.ndarray) -> None:
    """Fills the `[K, bins, C]` counts of `[K, N]` activations."""
    _, bins, num_classes = counts.shape

    def count(rows: slice) -> None:
        keys = packed_keys(activations[rows], shift)
        keys |= labels
        keys.sort(axis=1)
        cuts = _cuts(keys, shift, bins)
        keys &= (1 << shift) - 1
        cells = np.repeat(np.arange(len(keys) * bins) * num_classes, np.diff(cuts, axis=1).ravel())
        cells += keys.ravel()
        table = np.bincount(cells, minlength=len(keys) * bins * num_classes)
        counts[rows] = table.reshape(len(keys), bins, num_classes)

    map_blocks(count, *activations.shape)


def _cuts(keys: np.ndarray, shift: int, bins: int) -> np.ndarray:
    """
    `[K, bins + 1]` positions at which the bins of sorted `[K, N]` keys begin. Samples whose keys are equal but for the
    lowest `shift` bits are not cut apart.
    """
    samples = keys.shape[1]
    # Sample i lies in bin (2i + 1) * bins // 2N, the bin of its mid-rank.
    inner = (2 * samples * np.arange(1, bins) + bins - 1) // bins // 2
    inner = np.minimum(inner, samples)
    cuts = np.empty((len(keys), bins + 1), dtype=np.int64)
    cuts[:, 0], cuts[:, 1:-1], cuts[:, -1] = 0, inner, samples
    within = (inner > 0) & (inner < samples)
    at = inner[within]
    tied = keys[:, at - 1] >> shift == keys[:, at] >> shift
    for row in np.flatnonzero(tied.any(1)):
        value = keys[row, at[tied[row]]] >> shift
        start, end = (np.searchsorted(keys[row], bound << shift) for bound in (value, value + 1))
        number = np.arange(1, bins)[within][tied[row]]
        cuts[row, number] = np.where(number <= (start + end) * bins // (2 * samples), start, end)
    return cuts
