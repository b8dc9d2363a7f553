"""Integers that sort as float32 activations do, with a class in their lowest bits: one sort of numbers orders both."""

from __future__ import annotations

import numpy as np


BLOCK_KEYS = 2**18
"""Keys sorted at once: 2 MiB stay in a core's cache."""


def packed_keys(values: np.ndarray, shift: int, out: np.ndarray | None = None) -> np.ndarray:
    """Of float32 `values`, int64 keys in the same order and with the same ties, whose lowest `shift` bits are 0."""
    bits = (values + np.float32(0)).view(np.int32)  # -0.0 and 0.0 have different bits
    _turn_negatives(bits)
    return np.left_shift(bits, shift, out=out, dtype=np.int64)


def unpacked_values(keys: np.ndarray, shift: int) -> np.ndarray:
    """The float32 values that `packed_keys` made `keys` of, whatever their lowest `shift` bits are."""
    bits = (keys >> shift).astype(np.int32)
    _turn_negatives(bits)
    return bits.view(np.float32)


def _turn_negatives(bits: np.ndarray) -> None:
    """Floats are sign and magnitude: turns the order of the negative ones, in place; and back, if called again."""
    bits ^= (bits >> 31) & np.int32(0x7FFFFFFF)
