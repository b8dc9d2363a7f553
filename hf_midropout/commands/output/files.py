"""Files that a command will write: whether it can is checked before hours of work, not after."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def check_output_file(option: str, name: str | None, suffixes: tuple[str, ...]) -> None:
    """
    Args:
        option (`str`): The option that names the file, for messages.
        name (`str`, *optional*): The file; nothing is checked without one.
        suffixes (`tuple[str]`): What its name may end in, lower case.

    Raises:
        `ValueError`: for another suffix, a folder, or a place that cannot be written to. Folders that do not exist are
            no reason: they are made when the file is written.
    """
    if name is None:
        return
    path = Path(name)
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"--{option} {name}: the name must end in {' or '.join(suffixes)}.")
    if path.is_dir():
        raise ValueError(f"--{option} {name}: this is a folder; name a file.")
    place = next((folder for folder in path.absolute().parents if folder.exists()), Path(path.anchor))
    if not place.is_dir():
        raise ValueError(f"--{option} {name}: {place} is a file, and no folder can be made in it.")
    if not os.access(path if path.exists() else place, os.W_OK):
        raise ValueError(f"--{option} {name}: {path if path.exists() else place} cannot be written to.")


def check_overwritten(
    option: str, name: str | None, overwrite: bool, is_ours: Callable[[Path], bool], dataset: str | None = None
) -> None:
    """
    Args:
        option (`str`): The option that names the file, for messages.
        name (`str`, *optional*): The file; nothing is checked without one.
        overwrite (`bool`): Whether the user said that the file may be replaced.
        is_ours (`Callable`): Whether a file was written by the command, so that it may be written anew.
        dataset (`str`, *optional*): What the command reads, which it never replaces.

    Raises:
        `ValueError`: for a file that exists and is not empty, unless it is ours or `overwrite` is set.
    """
    if name is None or not os.path.lexists(name):
        return
    path = Path(name)
    if dataset is not None and Path(dataset).is_file() and path.exists() and path.samefile(dataset):
        raise ValueError(f"--{option} {name}: this is the file that --dataset names; name another.")
    if overwrite or (path.is_file() and (path.stat().st_size == 0 or is_ours(path))):
        return
    raise ValueError(
        f"--{option} {name}: this file exists and was not written by this command; name another, or give --overwrite."
    )
