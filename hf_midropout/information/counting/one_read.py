"""Which kernel counts activations on a GPU in one read of them, and the proof, on first use, that it counts right."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch

from ..checks import IGNORE_INDEX, invalid_labels
from .by_class import count_classes
from .edges import NUM_BINS


SWITCH = "MIDROPOUT_GPU_COUNTING"
"""Environment variable: `auto` (default), `cuda`, `triton` or `torch`."""
KERNELS = ("cuda", "triton")
"""In the order in which `auto` tries them; torch is what is left."""
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MOST_ROWS = 2**31 - 1
WORTH_COMPILING = 2**28
"""Activations of a stream before which it is counted by torch, 20 ms on an H200: kernels take seconds to compile."""
_proven: set[tuple[torch.device, torch.dtype]] = set()

logger = logging.getLogger(__name__)


def counted_in_one_read(
    cells: torch.Tensor,
    nonfinite: torch.Tensor,
    ignored: torch.Tensor,
    invalid: torch.Tensor,
    activations: torch.Tensor,
    labels: torch.Tensor,
    edges: torch.Tensor,
    seen: int = WORTH_COMPILING,
) -> bool:
    """
    Counts as `count_classes` does, and also NaN and infinite activations and labels that are left out, if this is a
    case for a kernel; else does nothing and returns `False`.

    Args:
        cells (`torch.Tensor` of shape `[K * bins * C + 1]`): int32. The last stays as it is.
        nonfinite (`torch.Tensor` of shape `[K]`): int32; activations that are NaN or infinite.
        ignored (`torch.Tensor` of shape `[]`): int64; labels of -100.
        invalid (`torch.Tensor` of shape `[]`): int64; labels that are neither classes nor -100.
        activations (`torch.Tensor` of shape `[N, K]`): As they came.
        labels (`torch.Tensor` of shape `[N]`): int64.
        edges (`torch.Tensor` of shape `[K, bins - 1]`): Of the bins.
        seen (`int`, *optional*): Activations of the stream so far.
    """
    if not activations.is_cuda or edges.dtype != torch.float32 or max(activations.shape) > MOST_ROWS:
        return False
    if cells.dtype != torch.int32 or len({each.device for each in (cells, activations, labels, edges)}) > 1:
        return False
    path = counting_path(activations.device, activations.dtype, seen)
    if path == "torch":
        return False
    run_kernel(path, cells, nonfinite, ignored, invalid, activations, labels, edges)
    return True


def run_kernel(
    path: str,
    cells: torch.Tensor,
    nonfinite: torch.Tensor,
    ignored: torch.Tensor,
    invalid: torch.Tensor,
    activations: torch.Tensor,
    labels: torch.Tensor,
    edges: torch.Tensor,
) -> None:
    """Counts by the kernel `path`, one of `KERNELS`; the other arguments are those of `counted_in_one_read`."""
    if path == "cuda":
        from .cuda_kernel import count_by_cuda

        count_by_cuda(cells, nonfinite, ignored, invalid, activations, labels, edges)
        return
    from .triton_kernel import count_in_one_read

    count_in_one_read(cells, nonfinite, activations, labels, edges)
    ignored += (labels == IGNORE_INDEX).sum()
    invalid += invalid_labels(labels, (cells.numel() - 1) // (len(edges) * NUM_BINS)).sum()


def counting_path(device: torch.device, dtype: torch.dtype, seen: int = WORTH_COMPILING) -> str:
    """
    What counts activations of `dtype` on `device`: `"cuda"` or `"triton"`, a kernel that is not turned off, runs, and
    counts as torch does, or else `"torch"`. Found out once for each device and dtype, which takes seconds, as kernels
    are compiled, and makes the CPU wait; before a stream has `seen` so many activations that it is worth that, unless
    it was found out already or a kernel was asked for, it is torch.

    Raises:
        `ValueError`: if the environment variable that chooses has another value than those it may have.
    """
    chosen = os.environ.get(SWITCH, "auto")
    if chosen not in ("auto", *KERNELS, "torch"):
        raise ValueError(f"{SWITCH}={chosen}: must be auto, cuda, triton or torch.")
    if device.type != "cuda" or dtype not in DTYPES:
        return "torch"
    if chosen == "auto" and seen < WORTH_COMPILING and (device, dtype) not in _proven:
        return "torch"
    for path in KERNELS:
        if chosen in ("auto", path) and not reason_against(device, path, dtype):
            _proven.add((device, dtype))
            return path
    return "torch"


@lru_cache(maxsize=64)
def reason_against(device: torch.device, path: str, dtype: torch.dtype) -> str:
    """Why the kernel `path` is not to be used on this device for activations of `dtype`; empty if it is."""
    level = logging.WARNING
    try:
        reason = "" if agrees(device, path, dtype) else "it counts otherwise than torch here"
    except (ImportError, OSError) as error:  # no triton, no access to NVRTC, no CUDA toolkit
        reason, level = f"{type(error).__name__}: {error}", logging.INFO
    except Exception as error:  # of a compiler or a driver: whatever it is, there is another way
        reason = f"{type(error).__name__}: {error}"
    if reason:
        logger.log(
            level,
            f"The {path} kernel is not used on {device} for {dtype}: {reason}. Activations are counted in another "
            f"way, which may take longer; {SWITCH}=torch spares the attempt.",
        )
    return reason


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


def agrees(device: torch.device, path: str, dtype: torch.dtype) -> bool:
    """Whether a kernel counts samples on this device, some NaN, infinite or on an edge, as torch does."""
    with waiting_is_allowed(device):
        return _agrees(device, path, dtype)


def _agrees(device: torch.device, path: str, dtype: torch.dtype) -> bool:
    generator = torch.Generator().manual_seed(0)
    rows, neurons, classes = 701, 37, 3
    values = torch.randn(rows, neurons, generator=generator).mul(2).round(decimals=1)  # with ties
    edges = torch.randn(neurons, NUM_BINS - 1, generator=generator).sort(1).values
    edges[:, ::5] = edges[:, ::5].round(decimals=1)
    edges = edges.sort(1).values
    values[::97, 0], values[::89, 1], values[::83, 2] = torch.nan, torch.inf, -torch.inf
    labels = torch.randint(-1, classes + 1, (rows,), generator=generator)
    labels[::11] = IGNORE_INDEX
    edges, labels = edges.to(device), labels.to(device)
    left_out = (labels < 0) | (labels >= classes)
    activations = values.to(device, dtype)
    expected = torch.zeros(neurons * NUM_BINS * classes + 1, dtype=torch.int32, device=device)
    found, nonfinite = expected.clone(), expected.new_zeros(neurons)
    ignored, invalid = torch.zeros(2, dtype=torch.int64, device=device).unbind()
    run_kernel(path, found, nonfinite, ignored, invalid, activations, labels, edges)
    count_classes(expected, activations.double(), labels, left_out, edges.double())  # never by a sort
    number_ignored = int((labels == IGNORE_INDEX).sum())
    return (
        torch.equal(found[:-1], expected[:-1])
        and torch.equal(nonfinite, (~activations.isfinite()).sum(0, dtype=torch.int32))
        and int(ignored) == number_ignored
        and int(invalid) == int(left_out.sum()) - number_ignored
    )
