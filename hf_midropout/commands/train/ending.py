"""How a training that does not finish ends: one line that says what is kept, and how to go on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from ...training.output_folder import OutputFolder
from ...training.resuming import find_last_whole
from ...training.run_record import RunRecord
from ...utils.error_chain import chain
from ...utils.interruption import received


@dataclass
class Progress:
    """
    How far a run is.

    Args:
        output ([`OutputFolder`]): Where it writes.
        trainer ([`~transformers.Trainer`], *optional*): Once there is one.
        launched (`bool`, *optional*, defaults to `False`): Whether other processes do the work.
        what (`str`, *optional*, defaults to `""`): Which of its trainings is running, where there are several.
    """

    output: OutputFolder
    trainer: Any = None
    launched: bool = False
    what: str = ""


@contextmanager
def ending_told(progress: Progress) -> Iterator[None]:
    """Context manager: an exception leaves it with a message that says what is kept."""
    try:
        yield
    except BaseException as error:
        if received() is not None or isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(stopped(progress)) from None
        if is_disk_full(error):
            raise OSError(f"No space left on the device of {progress.output.path}. {kept(progress)}") from error
        if is_write_failure(error):
            raise OSError(
                f"{progress.output.path} could not be written: is its disk full? {kept(progress)}"
            ) from error
        if progress.output.left:
            _add_note(error, kept(progress))
        raise


def stopped(progress: Progress) -> str:
    """The line for a run that was asked to stop."""
    step = f"stopped at step {progress.trainer.state.global_step}" if progress.trainer else "stopped"
    step += f" of {progress.what}" if progress.what else ""
    output = progress.output
    now = RunRecord.load(output.path)
    if progress.launched:
        new = now is not None and (output.record is None or now.id != output.record.id)
        finished = now is not None and new and now.finished
        may_go_on = now is not None and not now.finished
    else:
        finished, may_go_on = output.finished, bool(output.left or output.resume)
    if finished:
        return f"{step}; the result is saved."
    with suppress(OSError):
        last, _ = find_last_whole(output.path)
        if last is not None and may_go_on:
            return f"{step}; continue with --resume (from {os.path.basename(last)})."
    return f"{step} before the first checkpoint: nothing is left of this run."


def kept(progress: Progress) -> str:
    """What an error leaves."""
    left = progress.output.left.strip()
    return left or "Nothing of this run is kept."


def is_disk_full(error: BaseException) -> bool:
    """Whether `error` is one of those by which Python, safetensors and torch say that a disk is full."""
    for link in chain(error):
        if isinstance(link, OSError) and link.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        text = str(link)
        if "No space left on device" in text or "os error 28" in text or "Disk quota exceeded" in text:
            return True
    return False


def is_write_failure(error: BaseException) -> bool:
    """Whether `error` is one by which torch says, without the reason, that a file could not be written."""
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text for sign in ("inline_container.cc", "iostream error", "PytorchStreamWriter")
    )


def _add_note(error: BaseException, note: str) -> None:
    if hasattr(error, "add_note"):
        error.add_note(note)
    else:  # Python 3.10
        error.__notes__ = [*getattr(error, "__notes__", ()), note]
