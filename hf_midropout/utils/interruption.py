"""Ctrl-C and SIGTERM: the command ends in order, wherever it is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


_received: list[int] = []
_holds = 0
_came_in_hold = False


def received() -> int | None:
    """The signal that asked this command to stop; `None` if none did."""
    return _received[0] if _received else None


def note(signum: int) -> None:
    """Remembers a signal that someone else's handler was called for."""
    _received[:] = _received or [signum]


def check() -> None:
    """Raises the `KeyboardInterrupt` that code in between may have swallowed, as finalizers do."""
    if _received:
        raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Context manager: the `KeyboardInterrupt` of a first signal that comes during the body is raised after it."""
    global _holds, _came_in_hold
    _holds += 1
    try:
        yield
    finally:
        _holds -= 1
        came = _came_in_hold and not _holds
        if came:
            _came_in_hold = False
    if came:
        raise KeyboardInterrupt


@contextmanager
def stoppable(*, launched: bool = False) -> Iterator[None]:
    """
    Context manager: the first Ctrl-C or SIGTERM raises `KeyboardInterrupt`, so that what is half done is tidied up;
    the second one ends the process at once.

    Args:
        launched (`bool`, *optional*, defaults to `False`): Whether this is one of several processes, to which a
            launcher passes on what the terminal has told all of them: SIGTERM ends it at once, a second Ctrl-C is
            passed over.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum, frame) -> None:
        global _came_in_hold
        if _received and not launched:
            os._exit(128 + signum)
        if not _received:
            _received.append(signum)
            if not _holds:
                raise KeyboardInterrupt
            _came_in_hold = True

    signals = [signal.SIGINT] if launched else [signal.SIGINT, signal.SIGTERM]
    former = {each: signal.getsignal(each) for each in signals}
    # Ignored signals stay ignored, as under nohup.
    for each in signals:
        if former[each] in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in former.items():
            if signal.getsignal(each) is stop:
                signal.signal(each, handler)
        _received.clear()
