"""What a command tells while it works: one line for each phase and event, above the bars, or nothing."""

from __future__ import annotations

import sys

from .processes import is_main_process


_quiet = False


def be_quiet(quiet: bool) -> None:
    """Whether [`tell`] is to say nothing from now on."""
    global _quiet
    _quiet = quiet


def is_quiet() -> bool:
    """Whether the user wants to be told results and errors only."""
    return _quiet


def tell(line: str = "") -> None:
    """Writes a line of text to the standard output, above bars that are on the terminal; main process only."""
    if not _quiet and is_main_process():
        write(line)


def write(text: str = "") -> None:
    """The same, quiet or not."""
    if "tqdm" not in sys.modules:  # no bar can be there, and importing it would take time
        print(text, flush=True)  # noqa: T201
        return
    from tqdm import tqdm

    with tqdm.external_write_mode(file=sys.stdout):
        print(text, flush=True)  # noqa: T201


def bars_are_wanted() -> bool:
    """Whether `transformers.logging` has its bars enabled, and the command is not quiet."""
    if _quiet:
        return False
    if "transformers" not in sys.modules:
        return True
    from transformers.utils.logging import is_progress_bar_enabled

    return is_progress_bar_enabled()
