"""Where the bins of a stream are placed, from its first rows."""

from __future__ import annotations

import numpy as np
import torch

from ..checks import widened
from ..copies import DistinctRows
from ..counting.edges import NUM_BINS, stream_edges
from ..parallel import BLOCK_ELEMENTS
from ..row_keys import row_keys, rows_are_told_apart, some_values


def different_rows(parts: list[torch.Tensor], label_keys: torch.Tensor | None) -> torch.Tensor:
    """
    `[N]` bool, on the CPU: one row of each that is given more than once with one label, and all others.

    Args:
        parts (`list[torch.Tensor]`): Activations `[n, K]`, N rows in all.
        label_keys (`torch.Tensor` of shape `[N]`, *optional*): Integers, equal for labels that are.
    """

    def told_apart(rows: torch.Tensor) -> torch.Tensor:
        return torch.cat([rows_are_told_apart(part) for part in parts])[rows]

    keys = row_keys(torch.cat([some_values(part) for part in parts])).numpy()
    if len(np.unique(keys)) < len(keys):
        keys = torch.cat([row_keys(part) for part in parts]).numpy()
    names = torch.zeros(len(keys), dtype=torch.int64) if label_keys is None else label_keys
    distinct = DistinctRows.of_keys(keys, names, told_apart)
    if distinct is None:
        return torch.ones(len(keys), dtype=torch.bool)
    return torch.zeros(len(keys), dtype=torch.bool).index_fill_(0, distinct.rows, True)


def placed_edges(parts: list[torch.Tensor], kept: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
    """
    `[K, bins - 1]` edges, some neurons at a time.

    Args:
        parts (`list[torch.Tensor]`): Activations `[n, K]`, N rows in all.
        kept (`torch.Tensor` of shape `[N]`): bool; the rows that place the bins.
        labels (`torch.Tensor` of shape `[N]`, *optional*): Classes, of which bins mix none that begins where another
            ends.
    """
    neurons, device = parts[0].shape[1], parts[0].device
    chosen = None if kept.all() else kept.nonzero().flatten().to(device)
    if labels is not None and chosen is not None:
        labels = labels[chosen.to(labels.device)]
    block = max(1, BLOCK_ELEMENTS // max(len(kept), NUM_BINS))  # whichever of rows and edges is more
    edges: torch.Tensor | None = None
    for start in range(0, neurons, block):
        values = torch.cat([part[:, start : start + block] for part in parts])
        values = widened(values if chosen is None else values[chosen]).nan_to_num(0.0, 0.0, 0.0)
        some = stream_edges(values, labels)
        if edges is None:
            edges = some.new_empty(neurons, some.shape[1])
        edges[start : start + block] = some
    assert edges is not None  # there is a neuron
    return edges
