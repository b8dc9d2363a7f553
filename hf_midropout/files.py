"""Files that are whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes `content` as indented JSON; an interruption leaves the former file as it was."""
    # NaN is no JSON: better to fail here than in every reader.
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text`; an interruption leaves the former file as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """
    Context manager: gives a folder beside `path` to fill, which takes the place of `path` at the end. If the body
    raises, `path` is left as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        filling = beside / path.name
        filling.mkdir()
        yield filling
        if path.exists():
            # A folder cannot be renamed over a full one: the former one steps aside and is deleted last.
            os.rename(path, beside / "former")
        os.rename(filling, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
