"""Several processes that do one job: what the main one alone does, and how the others hear of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


# In the order in which accelerate looks for it: of torchrun, and of several kinds of MPI.
_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")


class FailedElsewhere(Exception):
    """The main process failed, and has said why."""


def is_main_process() -> bool:
    """Whether this is the first of the processes, told from the environment before torch is imported."""
    return _number(_RANKS, 0) == 0


def is_alone() -> bool:
    """Whether this is the only process."""
    return _number(_SIZES, 1) == 1


def on_main_process(function: Callable[[], Any]) -> Any:
    """
    Runs `function` on the main process, once all processes are connected. To be called on every one.

    Returns:
        What it returned, on every process.

    Raises:
        What it raised, on the main process; [`FailedElsewhere`] on the others, which would wait for it forever.
    """
    if is_alone():
        return function()
    from accelerate.utils import broadcast_object_list

    result, problem = None, None
    if is_main_process():
        try:
            result = function()
        except BaseException as error:
            problem = error
    told = [result, problem is not None]
    broadcast_object_list(told)
    if problem is not None:
        raise problem
    if told[1]:
        raise FailedElsewhere
    return told[0]


def disconnect() -> None:
    """Leaves the group of processes, once all is done: torch may abort a process that ends while it is in one."""
    if is_alone():
        return
    from accelerate import PartialState

    PartialState().destroy_process_group()


def _number(names: tuple[str, ...], default: int) -> int:
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), default)
