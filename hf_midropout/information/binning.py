"""The bins that a stream of activations is counted in."""

from __future__ import annotations

import torch


QUANTILES = 384
CENTRAL_EDGES = 95
TAIL_EDGES = 16
NUM_BINS = QUANTILES - 1 + CENTRAL_EDGES + 2 * TAIL_EDGES + 1


def stream_edges(activations: torch.Tensor) -> torch.Tensor:
    """
    Inner edges of the bins of each neuron; bin b holds edge[b-1] <= a < edge[b]. They are 383 quantiles of the rows
    given, among which a value so frequent that several fall on it (a ReLU's 0) gets a bin of its own, and guards for
    what the rows did not show: 95 even steps over the central range and one range to either side of it, and 16
    quadrupling steps further out on each side.

    Args:
        activations (`torch.Tensor` of shape `[N, K]`): Finite activations, of rows drawn at random.

    Returns:
        `torch.Tensor` of shape `[K, 510]`: non-decreasing edges in the dtype of `activations`.
    """
    ordered = activations.t().contiguous().sort(dim=1).values
    positions = torch.arange(1, QUANTILES, device=ordered.device) * ordered.shape[1] // QUANTILES
    quantiles = ordered[:, positions]
    repeated = torch.zeros_like(quantiles, dtype=torch.bool)
    repeated[:, 1:] = quantiles[:, 1:] == quantiles[:, :-1]
    just_above = torch.nextafter(quantiles, torch.full_like(quantiles, torch.inf))
    # A repeated quantile closes the bin that the frequent value alone is in.
    quantiles = torch.where(repeated, just_above, quantiles)

    low, high = quantiles[:, :1], quantiles[:, -1:]
    width = high - low
    scale = torch.maximum(low.abs(), high.abs()).clamp(min=1e-30)
    width = torch.where(width > 1e-6 * scale, width, scale)
    steps = torch.linspace(-1, 2, CENTRAL_EDGES, device=ordered.device, dtype=ordered.dtype)
    quadrupling = 4.0 ** torch.arange(TAIL_EDGES, device=ordered.device, dtype=ordered.dtype)
    guards = (low + width * steps, low - width * (1 + quadrupling), high + width * (1 + quadrupling))
    return torch.cat([quantiles, *guards], 1).sort(dim=1).values


def bin_indices(activations: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """`[N, K]` activations and `[K, E]` edges -> `[K, N]` int32 bin numbers in 0..E."""
    return torch.searchsorted(edges, activations.t().contiguous(), right=True, out_int32=True)
