"""A standard stream whose reader has gone, as in `hf-midropout train --help | head`: no reason for a traceback."""

from __future__ import annotations

import os
import select
import sys
from typing import Any

from .error_chain import chain


STATUS = 128 + 13
"""Exit status of a program that SIGPIPE has ended, as shells tell it."""


def is_closed_pipe(error: BaseException | None) -> bool:
    """
    Whether `error` comes of a write to a standard stream that nobody reads any more. A connection to a server, or a
    pipe to another process, breaks in the same way, and is an error.
    """
    return any(isinstance(each, BrokenPipeError) for each in chain(error)) and any(map(reader_is_gone, streams()))


def streams() -> list[Any]:
    """The standard output and error, as far as the process has them."""
    return [stream for stream in (sys.stdout, sys.stderr) if stream is not None]


def reader_is_gone(stream: Any) -> bool:
    """Whether a stream is a pipe that nobody reads any more; `False` where the system cannot tell."""
    try:
        descriptor = stream.fileno()
    except (AttributeError, OSError, ValueError):  # none of the process's own
        return False
    if not hasattr(select, "poll"):
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def silence_closed_pipes() -> None:
    """
    Sends what is still to be written to streams without a reader nowhere: Python writes it when it ends, and would
    complain.
    """
    for stream in filter(reader_is_gone, streams()):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
