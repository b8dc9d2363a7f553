"""Sums counts over processes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch


if TYPE_CHECKING:
    from .statistics import NeuronStatistics


def all_reduce(statistics: Sequence[NeuronStatistics]) -> int:
    """
    Sums the counts of several layers over the processes of `torch.distributed`, in one all-reduce of integers; the
    bins must be the same everywhere.

    Returns:
        `int`: bytes that each process put in.
    """
    sums = [part for each in statistics for part in each._sums()]
    dtype = torch.int64 if any(each.counts.dtype == torch.int64 for each in statistics) else torch.int32
    everything = torch.cat([part.flatten().to(dtype) for part in sums])
    torch.distributed.all_reduce(everything)
    for part, total in zip(sums, everything.split([part.numel() for part in sums]), strict=True):
        part.copy_(total.view_as(part))
    return everything.numel() * everything.element_size()
