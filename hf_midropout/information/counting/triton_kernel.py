"""
Counts of (neuron, bin, class) on a GPU in one read of the activations. Imports triton: torch for CUDA brings it.

The torch path writes the activations again in float32, transposed, as numbers of bins, and as 64-bit numbers of
cells: some 70 bytes for each, where it takes 2 or 4 to read them. `one_read` says when this is used.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl

from .edges import NUM_BINS


SEARCH_STEPS = NUM_BINS.bit_length()
"""Halvings after which no range of 0..NUM_BINS - 1 is left to search."""
MOST_ROW_BLOCKS = 65_535
"""Of the second dimension of a grid."""


class BlockSize(NamedTuple):
    """
    What one program handles at a time.

    Args:
        rows (`int`): A power of 2.
        neurons (`int`): A power of 2. 16 of half precision are 32 bytes, the least that memory gives; their edges take
            32 KB of the cache of a multiprocessor.
        repeats (`int`): Blocks of rows that a program handles one after the other, with the edges in its cache.
        warps (`int`): Of 32 threads each.
    """

    rows: int = 64
    neurons: int = 16
    repeats: int = 8
    warps: int = 4


@triton.jit
def _count(
    cells,
    nonfinite,
    activations,
    labels,
    edges,
    rows,
    neurons,
    row_stride,
    neuron_stride,
    classes,
    NUM_EDGES: tl.constexpr,
    STEPS: tl.constexpr,
    ROWS: tl.constexpr,
    NEURONS: tl.constexpr,
    IS_BFLOAT16: tl.constexpr,
):
    # Neighbouring programs read neighbouring neurons of the same rows, which are in the same lines of the cache.
    neuron = (tl.program_id(0) * NEURONS + tl.arange(0, NEURONS)).to(tl.int64)[None, :]
    is_neuron = neuron < neurons
    own_edges = edges + neuron * NUM_EDGES
    own_cells = cells + neuron * (NUM_EDGES + 1) * classes
    broken = tl.zeros([NEURONS], dtype=tl.int32)
    for start in range(tl.program_id(1) * ROWS, rows, tl.num_programs(1) * ROWS):
        row = start + tl.arange(0, ROWS)
        label = tl.load(labels + row, mask=row < rows, other=-1)[:, None]
        row = row.to(tl.int64)[:, None]
        is_there = (row < rows) & is_neuron
        value = tl.load(activations + row * row_stride + neuron * neuron_stride, mask=is_there, other=0.0)
        # The upper half of a float32: a cast that cannot flush what is close to 0.
        value = (value.to(tl.int32) << 16).to(tl.float32, bitcast=True) if IS_BFLOAT16 else value.to(tl.float32)
        broken += tl.sum((is_there & ~(tl.abs(value) < float("inf"))).to(tl.int32), axis=0)
        # As `torch.searchsorted(..., right=True)`, step by step: so it is the same bin whatever the numbers are.
        low = tl.zeros([ROWS, NEURONS], dtype=tl.int32)
        high = low + NUM_EDGES
        for _ in tl.static_range(STEPS):
            middle = (low + high) // 2
            searching = low < high
            edge = tl.load(own_edges + middle, mask=searching & is_there, other=0.0)
            above = ~(edge > value)
            low = tl.where(searching & above, middle + 1, low)
            high = tl.where(searching & ~above, middle, high)
        tl.atomic_add(
            own_cells + low * classes + label.to(tl.int32),
            1,
            mask=is_there & (label >= 0) & (label < classes),
            sem="relaxed",
        )
    neuron = tl.program_id(0) * NEURONS + tl.arange(0, NEURONS)
    tl.atomic_add(nonfinite + neuron, broken, mask=(neuron < neurons) & (broken > 0), sem="relaxed")


def count_in_one_read(
    cells: torch.Tensor,
    nonfinite: torch.Tensor,
    activations: torch.Tensor,
    labels: torch.Tensor,
    edges: torch.Tensor,
    block: BlockSize | None = None,
) -> None:
    """
    Adds 1 to the cell of each activation and class, and counts activations that are NaN or infinite. The CPU does not
    wait for the GPU.

    Args:
        cells (`torch.Tensor` of shape `[K * bins * C + 1]`): int32. The last stays as it is.
        nonfinite (`torch.Tensor` of shape `[K]`): int32.
        activations (`torch.Tensor` of shape `[N, K]`): float32, float16 or bfloat16, with whatever strides.
        labels (`torch.Tensor` of shape `[N]`): Integer classes; others leave a row out of `cells`.
        edges (`torch.Tensor` of shape `[K, bins - 1]`): float32, of the bins.
        block ([`BlockSize`], *optional*): Makes a difference to the time alone.
    """
    rows, neurons = activations.shape
    is_bfloat16 = activations.dtype == torch.bfloat16
    if is_bfloat16:
        activations = activations.view(torch.int16)
    block = block or BlockSize()
    row_blocks = triton.cdiv(rows, block.rows * block.repeats)
    grid = (triton.cdiv(neurons, block.neurons), max(1, min(row_blocks, MOST_ROW_BLOCKS)))
    with torch.cuda.device_of(activations):  # triton launches on the current device
        _count[grid](
            cells,
            nonfinite,
            activations,
            labels.contiguous(),
            edges.contiguous(),
            rows,
            neurons,
            activations.stride(0),
            activations.stride(1),
            (cells.numel() - 1) // (neurons * NUM_BINS),
            NUM_EDGES=NUM_BINS - 1,
            STEPS=SEARCH_STEPS,
            ROWS=block.rows,
            NEURONS=block.neurons,
            IS_BFLOAT16=is_bfloat16,
            num_warps=block.warps,
        )
