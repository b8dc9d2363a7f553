"""Sums counts over processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch


class Summable(Protocol):
    """What `all_reduce` needs of statistics; `StreamedCounts` are such."""

    DTYPE: torch.dtype
    reduced: bool
    _cells: torch.Tensor
    _copies: torch.Tensor | None

    def _count_waiting(self) -> None:
        """Counts the batches that wait."""

    def _sums(self, copied: bool) -> tuple[torch.Tensor, ...]:
        """What adds up; with the sums of copies if there are any anywhere."""
        ...


def all_reduce(statistics: Sequence[Summable]) -> int:
    """
    Sums the counts of several layers over the processes of `torch.distributed`, in one all-reduce of integers; the
    bins must be the same everywhere.

    Returns:
        `int`: bytes that each process put in.

    Raises:
        `ValueError`: if it was called before: each process then holds the counts of all.
    """
    if any(each.reduced for each in statistics):
        raise ValueError("The counts were already summed over the processes: each sample would count several times.")
    for each in statistics:
        each._count_waiting()  # copies may be among what waits
    copied = torch.tensor([each._copies is not None for each in statistics], dtype=torch.int32)
    copied = copied.to(statistics[0]._cells.device)
    torch.distributed.all_reduce(copied, torch.distributed.ReduceOp.MAX)
    sums = [part for each, some in zip(statistics, copied.tolist(), strict=True) for part in each._sums(bool(some))]
    wide = any(each.DTYPE == torch.int64 or each._copies is not None for each in statistics)
    dtype = torch.int64 if wide else torch.int32
    everything = torch.cat([part.flatten().to(dtype) for part in sums])
    torch.distributed.all_reduce(everything)
    for part, total in zip(sums, everything.split([part.numel() for part in sums]), strict=True):
        part.copy_(total.view_as(part))
    for each in statistics:
        each.reduced = True
    return everything.numel() * everything.element_size()


def check_same(values: Mapping[str, Any]) -> None:
    """
    Compares `values`, by name, between the processes of `torch.distributed`, each of which calls it.

    Raises:
        `ValueError`: on all processes, if one is not the same everywhere; the message has it for each process.
    """
    everyones: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyones, dict(values))
    for name in everyones[0]:
        found = [each.get(name) for each in everyones]
        if any(each != found[0] for each in found):
            by_process = ", ".join(f"process {rank}: {each}" for rank, each in enumerate(found))
            raise ValueError(
                f"The processes were given different data ({name}: {by_process}). Give each the same dataset in the "
                "same order; the batches are dealt out to them."
            )
