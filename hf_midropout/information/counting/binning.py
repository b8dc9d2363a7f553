"""Counts of a stream of activations in bins between given edges."""

from __future__ import annotations

import numpy as np
import torch

from ..keys import BLOCK_KEYS, packed_keys
from ..parallel import map_blocks


LOWEST_KEY = -(2**62)


def add_counts(counts: torch.Tensor, activations: torch.Tensor, labels: torch.Tensor, edges: torch.Tensor) -> None:
    """
    Adds samples to counts on the CPU. The edges are sorted among the activations, which is faster than to look up the
    bin of each activation, and the same to the last count.

    Args:
        counts (`torch.Tensor` of shape `[K, E + 1, C]`): int32 counts, which change.
        activations (`torch.Tensor` of shape `[N, K]`): float32 activations.
        labels (`torch.Tensor` of shape `[N]`): Classes 0..C-1.
        edges (`torch.Tensor` of shape `[K, E]`): Inner edges of the bins.
    """
    neurons, bins, classes = counts.shape
    fields, shift = classes + 1, classes.bit_length()
    values, marks, table = activations.t().contiguous().numpy(), edges.numpy(), counts.numpy()
    # A mark has 0 where an activation has its class plus one, and so comes before the activations equal to it.
    field = labels.numpy().astype(np.int64) + 1

    def count(rows: slice) -> None:
        keys = np.empty((len(values[rows]), bins + len(field)), dtype=np.int64)
        keys[:, 0] = LOWEST_KEY
        packed_keys(marks[rows], shift, out=keys[:, 1:bins])
        packed_keys(values[rows], shift, out=keys[:, bins:])
        keys[:, bins:] |= field
        keys.sort(axis=1)
        keys &= (1 << shift) - 1
        cells = np.cumsum(keys.ravel() == 0)  # the number of the bin, from 1 on and from row to row
        cells *= fields
        cells += keys.ravel()
        found = np.bincount(cells, minlength=(len(keys) * bins + 1) * fields)
        table[rows] += found[fields:].reshape(len(keys), bins, fields)[:, :, 1:]

    map_blocks(count, neurons, bins + len(field), BLOCK_KEYS)


def bin_indices(activations: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """`[N, K]` activations and `[K, E]` edges -> `[K, N]` int32 bin numbers in 0..E."""
    return torch.searchsorted(edges, activations.t().contiguous(), right=True, out_int32=True)
