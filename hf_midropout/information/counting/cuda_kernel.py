"""
Counts of (neuron, bin, class) on a GPU by a CUDA kernel that NVRTC compiles for it: an activation is read once, and
both the search among the edges and the count are in shared memory. `one_read` says when this is used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import torch

from .cuda_source import SOURCE
from .edges import NUM_BINS


DTYPES = {torch.float32: 0, torch.float16: 1, torch.bfloat16: 2}
PADDED_EDGES = 511
MOST_ROWS = 65_535
"""Of a block: its counts are of 16 bits."""
FEWEST_ROWS = 2048
"""Of a block: it takes the time of several hundred rows to write its counts out."""
LARGEST = 2**31 - 1
"""Of the numbers that a kernel is given."""


class Tile(NamedTuple):
    """
    What a block handles.

    Args:
        neurons (`int`): A power of 2, 32 at most: one for each lane of a warp.
        has_counts (`bool`): Whether counts are in shared memory, beside the edges.
        shared_bytes (`int`): Shared memory that this takes.
    """

    neurons: int
    has_counts: bool
    shared_bytes: int


def tile_for(classes: int, shared_bytes: int) -> Tile:
    """The tile of most neurons, with counts if there is room for those of 4 neurons."""
    for neurons in (32, 16, 8, 4):
        needed = 4 * (neurons * (PADDED_EDGES + 256 * classes) + 1)
        if needed <= shared_bytes:
            return Tile(neurons, True, needed)
    for neurons in (32, 16):
        needed = 4 * (neurons * PADDED_EDGES + 1)
        if needed <= shared_bytes:
            break
    return Tile(neurons, False, needed)


def defines(tile: Tile, classes: int, dtype: torch.dtype, threads: int) -> str:
    """What `SOURCE` needs before it."""
    values = {
        "BINS": NUM_BINS,
        "CLASSES": classes,
        "NEURONS": tile.neurons,
        "THREADS": threads,
        "DTYPE": DTYPES[dtype],
        "SHARED_COUNTS": int(tile.has_counts),
    }
    return "".join(f"#define {name} {value}\n" for name, value in values.items())


def rows_of_block(rows: int, tiles: int, multiprocessors: int) -> int:
    """Rows that a block counts: all, unless that leaves multiprocessors without a block or is more than fits."""
    parts = max(1, min(multiprocessors // tiles, rows // FEWEST_ROWS))
    return max(1, min(MOST_ROWS, -(-rows // parts)))


class Kernel(NamedTuple):
    """A compiled kernel, what its blocks handle, and how many run at once."""

    launch: Any
    tile: Tile
    threads: int
    multiprocessors: int


@lru_cache(maxsize=64)
def kernel_for(device: torch.device, dtype: torch.dtype, classes: int) -> Kernel:
    """
    Compiles it.

    Raises:
        `ImportError`: if this version of torch has no access to NVRTC.
    """
    try:
        compile_kernel = torch.cuda._compile_kernel  # private: another version may do without
    except AttributeError as error:
        raise ImportError(f"torch {torch.__version__} has no torch.cuda._compile_kernel") from error
    properties = torch.cuda.get_device_properties(device)
    tile = tile_for(classes, getattr(properties, "shared_memory_per_block_optin", 48 * 1024))
    threads = 32 * tile.neurons
    with torch.cuda.device(device):
        launch = compile_kernel("\n" + defines(tile, classes, dtype, threads) + SOURCE, "count_activations")
        if tile.shared_bytes >= 48 * 1024:
            launch.set_shared_memory_config(tile.shared_bytes)
    return Kernel(launch, tile, threads, properties.multi_processor_count)


def count_by_cuda(
    cells: torch.Tensor,
    nonfinite: torch.Tensor,
    ignored: torch.Tensor,
    invalid: torch.Tensor,
    activations: torch.Tensor,
    labels: torch.Tensor,
    edges: torch.Tensor,
) -> None:
    """
    Adds 1 to the cell of each activation and class, and counts activations that are NaN or infinite and labels that
    are -100 or no classes. The CPU does not wait for the GPU.

    Args:
        cells (`torch.Tensor` of shape `[K * bins * C + 1]`): int32. The last stays as it is.
        nonfinite (`torch.Tensor` of shape `[K]`): int32.
        ignored (`torch.Tensor` of shape `[]`): int64.
        invalid (`torch.Tensor` of shape `[]`): int64.
        activations (`torch.Tensor` of shape `[N, K]`): float32, float16 or bfloat16, with whatever strides.
        labels (`torch.Tensor` of shape `[N]`): int64.
        edges (`torch.Tensor` of shape `[K, bins - 1]`): float32, of the bins.
    """
    rows, neurons = activations.shape
    if rows == 0:
        return
    if max(rows, neurons, *activations.stride()) > LARGEST:
        activations = activations.contiguous()
    kernel = kernel_for(activations.device, activations.dtype, (cells.numel() - 1) // (neurons * NUM_BINS))
    tiles = -(-neurons // kernel.tile.neurons)
    block_rows = rows_of_block(rows, tiles, kernel.multiprocessors)
    given = [cells, nonfinite, ignored, invalid, activations, labels.contiguous(), edges.contiguous()]
    with torch.cuda.device_of(activations):
        kernel.launch(
            grid=(tiles, -(-rows // block_rows), 1),
            block=(kernel.threads, 1, 1),
            args=[*given, rows, neurons, *activations.stride(), block_rows],
            shared_mem=kernel.tile.shared_bytes,
        )
