"""What processes that were killed left in a study's folder."""

from __future__ import annotations

import os
from pathlib import Path

from ..utils.files import clean_up, is_beside


def remove_leftovers(folder: Path) -> None:
    """Removes files that a process died over before they were in their place, in `folder` and below."""
    for place, _, files in os.walk(folder):
        names = {name[1:].rsplit(".", 1)[0] for name in files if is_beside(name)}
        if names:
            clean_up(Path(place), tuple(names), remove=lambda path: None)  # which is for folders: none is written
