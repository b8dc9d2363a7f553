"""Where a training may write: never a place that holds what is not its own."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def check_place(output_dir: str, given: Mapping[str, str | None]) -> Path:
    """
    Args:
        output_dir (`str`): What `--output_dir` says.
        given (`Mapping[str, str]`): Files and folders that the run reads, by option; what is no path is passed over.

    Returns:
        `Path`: the folder.

    Raises:
        `ValueError`: for a folder that holds the current or home directory, a repository, or what is to be read.
    """
    advice = "name a folder for this run, such as --output_dir out."
    if not output_dir.strip():
        raise ValueError(f"--output_dir {output_dir!r} is empty: {advice}")
    check_name("--output_dir", output_dir)
    folder = Path(output_dir).expanduser()
    if os.path.lexists(folder) and not folder.is_dir():
        what = "a link that leads nowhere" if folder.is_symlink() and not folder.exists() else "a file"
        raise ValueError(f"--output_dir {output_dir} is {what}: {advice}")
    for name, place in (("the current directory", Path.cwd()), ("your home directory", Path.home())):
        if holds(folder, place):
            here = "is" if _same(folder, place) else "contains"
            raise ValueError(f"--output_dir {output_dir} {here} {name}: {advice}")
    if os.path.lexists(folder / ".git"):
        raise ValueError(f"--output_dir {output_dir} is the root of a repository (it holds .git): {advice}")
    for option, value in given.items():
        if value and os.path.exists(value) and holds(folder, Path(value)):
            raise ValueError(f"--output_dir {output_dir} contains {option} {value}, which the run reads: {advice}")
    return folder


def check_name(option: str, name: str) -> None:
    """`ValueError` for a path that cannot be written into JSON and model cards."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{option} {name!r} is not valid UTF-8: rename it.") from None
    if "\0" in name:
        raise ValueError(f"{option} {name!r} holds a NUL character.")


def holds(folder: Path, path: Path) -> bool:
    """Whether `path` is `folder` or lies in it, by either its name or what it is a link to."""
    for each in (Path(os.path.abspath(path)), Path(os.path.realpath(path))):
        if any(_same(folder, place) for place in (each, *each.parents)):
            return True
    return False


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.abspath(one) == os.path.abspath(other)
