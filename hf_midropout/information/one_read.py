"""When a GPU counts by the kernel that reads activations once, and the proof, on first use, that it counts right."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from .counting import count_classes
from .edges import NUM_BINS


SWITCH = "MIDROPOUT_TRITON"
"""Environment variable: `0` turns the kernel off."""
DTYPES = (torch.float32, torch.float16, torch.bfloat16)

logger = logging.getLogger(__name__)


def counted_in_one_read(
    cells: torch.Tensor,
    nonfinite: torch.Tensor,
    activations: torch.Tensor,
    labels: torch.Tensor,
    left_out: torch.Tensor,
    edges: torch.Tensor,
) -> bool:
    """
    Counts as `count_classes` does, and NaN and infinite activations too, if this is a case for the kernel; else does
    nothing and returns `False`. Arguments are those of `count_classes`, but activations are as they came.
    """
    if not activations.is_cuda or activations.dtype not in DTYPES or edges.dtype != torch.float32:
        return False
    if cells.dtype != torch.int32 or len({each.device for each in (cells, activations, edges)}) > 1:
        return False
    if not is_usable(activations.device):
        return False
    from .triton_counting import count_in_one_read

    count_in_one_read(cells, nonfinite, activations, torch.where(left_out, -1, labels), edges)
    return True


def is_usable(device: torch.device) -> bool:
    """
    Whether the kernel is to be used on this device: it is not turned off, runs, and counts as torch does. Found out
    once for each device, which takes seconds, as the kernel is compiled, and makes the CPU wait.
    """
    return device.type == "cuda" and os.environ.get(SWITCH) != "0" and _passes_self_test(device)


@lru_cache(maxsize=64)
def _passes_self_test(device: torch.device) -> bool:
    try:
        reason = "" if agrees(device) else "it counts otherwise than torch here"
    except ImportError:
        logger.info("triton is not installed: activations are counted by torch, which takes longer.")
        return False
    except Exception as error:  # of a compiler or a driver: whatever it is, there is another way
        reason = f"{type(error).__name__}: {error}"
    if reason:
        logger.warning(
            f"The triton kernel is not used on {device}: {reason}. Activations are counted by torch, which takes "
            f"longer; {SWITCH}=0 spares the attempt."
        )
    return not reason


@contextmanager
def waiting_is_allowed(device: torch.device) -> Iterator[None]:
    """Context manager under which the CPU may wait for a GPU, whatever `torch.cuda.set_sync_debug_mode` was given."""
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("default")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def agrees(device: torch.device) -> bool:
    """Whether the kernel counts samples of each dtype on this device, some NaN, infinite or on an edge, as torch."""
    with waiting_is_allowed(device):
        return _agrees(device)


def _agrees(device: torch.device) -> bool:
    from .triton_counting import count_in_one_read

    generator = torch.Generator().manual_seed(0)
    rows, neurons, classes = 701, 19, 3
    values = torch.randn(rows, neurons, generator=generator).mul(2).round(decimals=1)  # with ties
    edges = torch.randn(neurons, NUM_BINS - 1, generator=generator).sort(1).values
    edges[:, ::5] = edges[:, ::5].round(decimals=1)
    edges = edges.sort(1).values
    values[::97, 0], values[::89, 1], values[::83, 2] = torch.nan, torch.inf, -torch.inf
    labels = torch.randint(-1, classes, (rows,), generator=generator)
    edges, labels = edges.to(device), labels.to(device)
    for dtype in DTYPES:
        activations = values.to(device, dtype)
        empty = torch.zeros(neurons * NUM_BINS * classes + 1, dtype=torch.int32, device=device)
        expected, found, nonfinite = empty, empty.clone(), empty.new_zeros(neurons)
        count_in_one_read(found, nonfinite, activations, labels, edges)
        count_classes(expected, activations.double(), labels, labels < 0, edges.double())  # never by a sort
        same = torch.equal(found[:-1], expected[:-1])
        if not same or not torch.equal(nonfinite, (~activations.isfinite()).sum(0, dtype=torch.int32)):
            return False
    return True
