"""Blocks of neurons on all cores, each block small enough for a core's cache."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch


BLOCK_ELEMENTS = 2**24
"""Activations, or cells of tables, handled at once where they need not stay in a cache."""

Result = TypeVar("Result")


def map_blocks(work: Callable[[slice], Result], rows: int, elements_per_row: int, block_elements: int) -> list[Result]:
    """
    What `work` gives for each slice of `rows`, in order, on as many threads as torch has.

    NumPy and torch release the GIL while they compute, so whole blocks run side by side. That beats torch's own
    threads, which share out every single operation and wait for each other after it.

    Args:
        work (`Callable`): Is called with slices that together are `range(rows)`.
        rows (`int`): Neurons, as a rule.
        elements_per_row (`int`): How much `work` handles for each.
        block_elements (`int`): How much it should handle in one call.
    """
    block = max(1, block_elements // elements_per_row)
    slices = [slice(start, min(start + block, rows)) for start in range(0, rows, block)]
    before = torch.get_num_threads()
    threads = min(before, len(slices))
    if threads < 2:
        return [work(each) for each in slices]
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work, slices))
    finally:
        # Each thread has a number of its own, but threads still to come take the one that was set last.
        torch.set_num_threads(before)
