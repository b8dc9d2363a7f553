"""Integers that sort as activations do and carry a class in their lowest bits: one sort of numbers is enough."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch


BLOCK_ELEMENTS = 2**18
"""Keys sorted at once: 2 MiB stay in a core's cache."""


def packed_keys(values: np.ndarray, shift: int, out: np.ndarray | None = None) -> np.ndarray:
    """Of float32 `values`, int64 keys in the same order and with the same ties, whose lowest `shift` bits are 0."""
    bits = (values + np.float32(0)).view(np.int32)  # -0.0 and 0.0 have different bits
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)  # floats are sign and magnitude
    return np.left_shift(bits, shift, out=out, dtype=np.int64)


def map_blocks(work: Callable[[slice], None], rows: int, elements_per_row: int) -> None:
    """Calls `work` with the slices of `rows` that fit a core's cache, on as many threads as torch has."""
    block = max(1, BLOCK_ELEMENTS // elements_per_row)
    slices = [slice(start, start + block) for start in range(0, rows, block)]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:  # NumPy sorts and counts outside of the GIL
        list(pool.map(work, slices))
