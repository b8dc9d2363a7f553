"""Where the bins lie that a stream of activations is counted in."""

from __future__ import annotations

import numpy as np
import torch

from ..keys import BLOCK_KEYS, packed_keys, unpacked_values
from ..parallel import map_blocks


QUANTILES = 384
CENTRAL_EDGES = 95
TAIL_EDGES = 16
LONG_RUN = 12
"""Samples of one class in a row, twice the mass of a bin of the default calibration rows."""
ROOM = 5
"""Quantiles in a run of one class, if the jumps at both its ends are to get four each."""
NUM_BINS = QUANTILES - 1 + CENTRAL_EDGES + 2 * TAIL_EDGES + 1


def stream_edges(activations: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
    """
    Inner edges of the bins of each neuron; bin b holds edge[b-1] <= a < edge[b]. They are 383 quantiles of the rows
    given, among which a value so frequent that several fall on it (a ReLU's 0) gets a bin of its own, and guards for
    what the rows did not show: 95 even steps over the central range and one range to either side of it, and 16
    quadrupling steps further out on each side. Where one class gives way to another all at once, the nearest quantiles
    move there, so that next to no bin mixes the two.

    Args:
        activations (`torch.Tensor` of shape `[N, K]`): Finite activations, of rows drawn at random.
        labels (`torch.Tensor` of shape `[N]`, *optional*): Their classes, 0 or greater.

    Returns:
        `torch.Tensor` of shape `[K, 510]`: non-decreasing edges in the dtype of `activations`.
    """
    ordered, classes = _in_order(activations.t().contiguous(), labels)
    positions = torch.arange(1, QUANTILES, device=ordered.device) * ordered.shape[1] // QUANTILES
    quantiles = ordered[:, positions]
    repeated = torch.zeros_like(quantiles, dtype=torch.bool)
    repeated[:, 1:] = quantiles[:, 1:] == quantiles[:, :-1]
    # A repeated quantile closes the bin that the frequent value alone is in.
    quantiles = torch.where(repeated, _just_above(quantiles), quantiles)

    low, high = quantiles[:, :1], quantiles[:, -1:]
    width = high - low
    scale = torch.maximum(low.abs(), high.abs()).clamp(min=1e-30)
    width = torch.where(width > 1e-6 * scale, width, scale)
    steps = torch.linspace(-1, 2, CENTRAL_EDGES, device=ordered.device, dtype=ordered.dtype)
    quadrupling = 4.0 ** torch.arange(TAIL_EDGES, device=ordered.device, dtype=ordered.dtype)
    guards = (low + width * steps, low - width * (1 + quadrupling), high + width * (1 + quadrupling))

    if classes is not None and ordered.shape[1] > 2 * LONG_RUN:
        _move_to_jumps(quantiles, positions, ordered, classes)
    return _in_order(torch.cat([quantiles, *guards], 1), None)[0]


def _move_to_jumps(
    quantiles: torch.Tensor, positions: torch.Tensor, ordered: torch.Tensor, classes: torch.Tensor
) -> None:
    """
    Moves `[K, Q]` quantiles, those at `positions` of the `[K, N]` samples in order, to where long runs of one class
    meet runs of another: one to the last sample of the one, one to the first of the other; and where both runs are
    longer still, two more in between, as later samples fall there too, and the class changes somewhere among them.
    """
    samples = ordered.shape[1]
    neurons, before = _jumps(classes)
    last, first = ordered[neurons, before], ordered[neurons, before + 1]
    below = torch.searchsorted(positions, before, right=True) - 1
    steps = torch.arange(ROOM * samples // QUANTILES, device=before.device)
    left = classes[neurons[:, None], (before[:, None] - steps).clamp(min=0)]
    right = classes[neurons[:, None], (before[:, None] + 1 + steps).clamp(max=samples - 1)]
    far = (left == left[:, :1]).all(1) & (right == right[:, :1]).all(1)
    third = (first - last) / 3
    for offset, edge, which in (
        (0, _just_above(last), ~far),
        (1, first, ~far),
        (-1, _just_above(last), far),
        (0, last + third, far),
        (1, first - third, far),
        (2, first, far),
    ):
        place = below + offset
        chosen = which & (place >= 0) & (place < quantiles.shape[1])
        quantiles[neurons[chosen], place[chosen]] = edge[chosen]


def _just_above(values: torch.Tensor) -> torch.Tensor:
    return torch.nextafter(values, torch.full_like(values, torch.inf))


def _in_order(values: torch.Tensor, labels: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Each neuron's `[K, N]` values sorted, and the classes `[N]` of the samples in that order."""
    if labels is None:
        if values.is_cuda:
            return values.sort(dim=1).values, None
        return torch.from_numpy(np.sort(values.numpy(), axis=1)), None  # by SIMD, ten times faster than torch
    if values.is_cuda or values.dtype != torch.float32:
        # Equal values in the order of their classes, as below; 0.0 makes -0.0 equal to 0.0 for whatever sorts.
        by_class = labels.to(values.device).sort(stable=True)
        ordered_values, order = (values[:, by_class.indices] + 0.0).sort(dim=1, stable=True)
        return ordered_values, by_class.values[order]
    field = labels.numpy().astype(np.int64)
    shift = max(1, int(field.max()).bit_length())
    ordered, classes = np.empty(values.shape, np.float32), np.empty(values.shape, np.int32)

    def sort(rows: slice) -> None:
        keys = packed_keys(values[rows].numpy(), shift)
        keys |= field
        keys.sort(axis=1)
        ordered[rows] = unpacked_values(keys, shift)
        classes[rows] = keys & ((1 << shift) - 1)

    map_blocks(sort, values.shape[0], values.shape[1], BLOCK_KEYS)
    return torch.from_numpy(ordered), torch.from_numpy(classes)


def _jumps(classes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Neurons, and positions in the order of their activations, after which a long run of one class becomes one of
    another, given the `[K, N]` classes in that order.
    """
    same = classes[:, 1:] == classes[:, :-1]
    run, length = same, 1  # run[i]: the next `length` samples are of the class of sample i
    while length < LONG_RUN - 1:
        step = min(length, LONG_RUN - 1 - length)
        run, length = run[:, : run.shape[1] - step] & run[:, step:], length + step
    jump = run[:, :-LONG_RUN] & ~same[:, LONG_RUN - 1 : 1 - LONG_RUN] & run[:, LONG_RUN:]
    neurons, first = jump.nonzero(as_tuple=True)
    return neurons, first + LONG_RUN - 1
