"""Adds activations, and copies of rows, to tables of (neuron, bin, column)."""

from __future__ import annotations

import torch

from ..parallel import BLOCK_ELEMENTS
from .binning import add_counts, bin_indices
from .edges import NUM_BINS


def count_classes(
    cells: torch.Tensor, activations: torch.Tensor, labels: torch.Tensor, left_out: torch.Tensor, edges: torch.Tensor
) -> None:
    """
    Adds 1 to the cell of each activation and class.

    Args:
        cells (`torch.Tensor` of shape `[K * bins * C + 1]`): int32. The last takes what is not to be counted, which
            spares a filter whose size a GPU would have to tell.
        activations (`torch.Tensor` of shape `[N, K]`): In the dtype of the edges.
        labels (`torch.Tensor` of shape `[N]`): Classes; anything where `left_out`.
        left_out (`torch.Tensor` of shape `[N]`): bool.
        edges (`torch.Tensor` of shape `[K, bins - 1]`): Of the bins.
    """
    neurons, classes = len(edges), len(cells) // (len(edges) * NUM_BINS)
    if not activations.is_cuda and activations.dtype == torch.float32:
        kept = ~left_out
        table = cells[:-1].view(neurons, NUM_BINS, classes)
        add_counts(table, activations if kept.all() else activations[kept], labels[kept], edges)
        return
    neuron = torch.arange(neurons, device=activations.device)[:, None]
    cell = (neuron * NUM_BINS + bin_indices(activations, edges)) * classes + labels
    cell = torch.where(left_out, cells.numel() - 1, cell).flatten()
    cells.scatter_add_(0, cell, torch.ones_like(cell, dtype=torch.int32))


def add_copies(
    tables: torch.Tensor,
    activations: torch.Tensor,
    edges: torch.Tensor,
    sums: list[list[tuple[torch.Tensor | int, torch.Tensor]]],
) -> None:
    """
    Adds to `[3, K, bins, columns]` int64 `tables`, for rows `[n, K]`, the columns and the `[n]` integers of each of
    the three sums.
    """
    neurons, _, columns = tables.shape[1:]
    block = max(1, BLOCK_ELEMENTS // 16 // max(1, len(activations)))  # of 64-bit integers, several
    for start in range(0, neurons, block):
        some = slice(start, min(start + block, neurons))
        neuron = torch.arange(some.start, some.stop, device=activations.device)[:, None]
        cell = (neuron * NUM_BINS + bin_indices(activations[:, some], edges[some])) * columns
        for table, of_columns in zip(tables, sums, strict=True):
            for column, values in of_columns:
                table.view(-1).scatter_add_(0, (cell + column).flatten(), values.repeat(len(neuron)))
