"""Equal-mass bins. Mutual information is invariant under monotone maps of a neuron, so ranks lose nothing."""

from __future__ import annotations

import math

import torch


FINE_BINS = 256
"""Bins that a stream is counted in; they are merged to `num_bins` when it ends."""


def num_bins(num_samples: int, num_classes: int) -> int:
    """
    Bins for a table of `num_samples`: as many as leave that many samples in each cell on average, between 4 and 64.
    Fewer lose information, more bring bias that the correction cannot remove.
    """
    return max(4, min(64, math.isqrt(num_samples // num_classes)))


def equal_mass_edges(activations: torch.Tensor, bins: int = FINE_BINS) -> torch.Tensor:
    """
    Inner edges of `bins` equal-mass bins of each neuron; bin b holds edge[b-1] <= a < edge[b]. A value so frequent
    that several edges fall on it (a ReLU's 0) gets a bin of its own.

    Args:
        activations (`torch.Tensor` of shape `[N, K]`): Finite activations.
        bins (`int`, *optional*, defaults to 256): Number of bins.

    Returns:
        `torch.Tensor` of shape `[K, bins - 1]`: non-decreasing edges in the dtype of `activations`.
    """
    ordered = activations.t().contiguous().sort(dim=1).values
    positions = torch.arange(1, bins, device=ordered.device) * ordered.shape[1] // bins
    edges = ordered[:, positions]
    repeated = torch.zeros_like(edges, dtype=torch.bool)
    repeated[:, 1:] = edges[:, 1:] == edges[:, :-1]
    just_above = torch.nextafter(edges, torch.full_like(edges, torch.inf))
    # A repeated edge closes the bin that the frequent value alone is in.
    return torch.where(repeated, just_above, edges)


def bin_indices(activations: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """`[N, K]` activations and `[K, E]` edges -> `[K, N]` bin numbers in 0..E."""
    return torch.searchsorted(edges, activations.t().contiguous(), right=True)


def merge_to_equal_mass(counts: torch.Tensor, bins: int) -> torch.Tensor:
    """
    Merges neighbouring bins of `[K, fine, classes]` counts to at most `bins` of nearly equal mass, by the mid-rank of
    each fine bin. A fine bin is never split, so a frequent value stays in one bin.

    Returns:
        `torch.Tensor` of shape `[K, bins, classes]`: integer counts with the same totals per neuron and class.
    """
    mass = counts.sum(2)
    total = mass.sum(1, keepdim=True)
    mid_rank = mass.cumsum(1) * 2 - mass  # twice the mid-rank, to stay in integers
    target = (mid_rank * bins // (2 * total)).clamp(max=bins - 1)
    merged = counts.new_zeros(counts.shape[0], bins, counts.shape[2])
    return merged.scatter_add_(1, target[:, :, None].expand_as(counts), counts)
