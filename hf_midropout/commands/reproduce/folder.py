"""The folder of a study: told by a mark, and used by one process at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ...utils.files import is_beside, write_text


MARK = ".midropout_study"
"""The file that tells a study's folder."""

LOCK = ".midropout_study.lock"


def mark(fine_tuned: bool) -> str:
    """What is in a study's `MARK`: results of one regime are not mixed with the other's."""
    return "fine-tuned\n" if fine_tuned else ""


def check_output_folder(folder: Path, fine_tuned: bool = False) -> None:
    """`ValueError` if there is something in the folder that no such study wrote: results would be mixed with it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"--output_dir {folder}: must be a folder, and no link.")
    if folder.is_dir() and not (folder / MARK).is_file():
        # Killed before its mark was there, a study leaves no more than its lock and half a mark.
        others = [path.name for path in folder.iterdir() if path.name != LOCK and not is_beside(path.name)]
        if others:
            raise ValueError(f"--output_dir {folder}: holds {min(others)}, and no study; name another folder.")
    if (folder / MARK).is_file() and (folder / MARK).read_text(encoding="utf-8") != mark(fine_tuned):
        there = "frozen" if fine_tuned else "fine-tuned"
        raise ValueError(f"--output_dir {folder}: holds a study with a {there} encoder; name another folder.")


@contextmanager
def study_folder(folder: Path, fine_tuned: bool) -> Iterator[None]:
    """Context manager: makes and marks the folder, for this process alone. `ValueError` if another one is using it."""
    from ...study.leftovers import remove_leftovers

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(
            f"--output_dir {folder} is in use by another `hf-midropout reproduce`: wait for it, stop it, or name "
            "another folder."
        ) from None
    try:
        remove_leftovers(folder)
        write_text(folder / MARK, mark(fine_tuned))
        yield
    finally:
        lock.release()
