"""Hashes of rows: the same for rows that are equal, on every machine."""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np
import torch

from .checks import widened


FEWEST_VALUES = 4
"""Different values in a row, so that two rows are not equal by chance: neurons that are all dead or saturated are."""
RUNS, RUN = 4, 16
"""Evenly spaced runs of neurons, each a cache line of float32, by which most rows differ."""
BLOCK_ELEMENTS = 2**17
"""Activations hashed at once: they stay in a core's cache."""


def row_keys(values: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """
    `[N]` int64 hashes of `[N, K]` values, on the CPU: equal for rows whose values are equal, and next to never for
    others. With `rows`, of those only.
    """
    return torch.cat([_hashed(block) for block in _blocks(values, rows)]).cpu()


def rows_are_told_apart(values: torch.Tensor, rows: torch.Tensor | None = None) -> torch.Tensor:
    """`[N]` bool, on the CPU: whether rows of `[N, K]` values are of 4 different values, or more. `rows` as above."""
    return torch.cat([_has_values(widened(block)) for block in _blocks(values, rows)]).cpu()


def some_values(values: torch.Tensor) -> torch.Tensor:
    """`[N, 64]` of `[N, K]` values, or all if there are fewer: a look at the rest costs more than it often tells."""
    neurons = values.shape[1]
    if neurons <= RUNS * RUN:
        return values
    starts = [run * (neurons - RUN) // (RUNS - 1) for run in range(RUNS)]
    return torch.cat([values[:, start : start + RUN] for start in starts], 1)


def _blocks(values: torch.Tensor, rows: torch.Tensor | None):
    size = max(1, BLOCK_ELEMENTS // max(1, values.shape[1]))
    if rows is None:
        return values.split(size)
    return (values[chosen] for chosen in rows.to(values.device).split(size))


def _hashed(values: torch.Tensor) -> torch.Tensor:
    values = widened(values) + 0.0  # -0.0 and 0.0 have different bits
    if values.numel() == 0:
        return torch.zeros(len(values), dtype=torch.int64, device=values.device)
    wide = values.dtype == torch.float64
    if not wide and values.shape[1] % 2:
        values = torch.nn.functional.pad(values, (0, 1))
    bits = values.contiguous().view(torch.int64)  # two float32 in one
    if wide:
        # The lowest bits of integers and of what was narrower are 0, and would be in the hash.
        bits = bits ^ ((bits >> 40) & 0xFFFFFF)
    multipliers = torch.from_numpy(_multipliers(bits.shape[1]))
    if bits.is_cuda:
        return (bits * multipliers.to(bits.device)).sum(1)
    return torch.from_numpy(np.einsum("ij,j->i", bits.numpy(), multipliers.numpy()))


@lru_cache(maxsize=16)
def _multipliers(number: int) -> np.ndarray:
    """`[number]` odd 64-bit integers."""
    draw = random.Random(0)
    return np.array([draw.getrandbits(64) | 1 for _ in range(number)], dtype=np.uint64).view(np.int64)


def _has_values(values: torch.Tensor) -> torch.Tensor:
    highest, found = values.amax(1), values.amin(1)
    for _ in range(FEWEST_VALUES - 2):
        found = torch.where(values > found[:, None], values, torch.inf).amin(1)
    return found < highest
