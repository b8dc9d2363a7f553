"""Files that a command will write: whether it can is checked before hours of work, not after."""

from __future__ import annotations

import os
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
