"""What the runs of a study have given already, a file each."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..utils.files import write_json
from .plan import Run


logger = logging.getLogger(__name__)


def read_result(path: Path, expected: dict[str, Any]) -> dict[str, Any] | None:
    """
    What a run wrote; `None` if there is nothing, or nothing that was made like this. A file that cannot be read is
    warned of.
    """
    content = _read(path)
    if content is None and path.exists():
        logger.warning("%s cannot be read; it is made again.", path)
    return content if content and content["made_by"] == expected else None


def write_result(path: Path, made_by: dict[str, Any], content: dict[str, Any]) -> None:
    """Atomically."""
    write_json(path, {"made_by": made_by, **content})


def finished(folder: Path, expected: Mapping[Run, dict[str, Any]]) -> Iterator[tuple[Run, dict[str, Any]]]:
    """The runs that have a result, with it; `expected` are their fingerprints."""
    for run, made_by in expected.items():
        content = read_result(run.path(folder), made_by)
        if content is not None:
            yield run, content


def made_otherwise(folder: Path, expected: Mapping[Run, dict[str, Any]]) -> dict[Run, dict[str, Any]]:
    """The fingerprints of results that are there and were not made as `expected`."""
    there = {run: _read(run.path(folder)) for run in expected}
    return {run: each["made_by"] for run, each in there.items() if each and each["made_by"] != expected[run]}


def _read(path: Path) -> dict[str, Any] | None:
    """`None` for what no run wrote whole."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    kinds = {"made_by": dict, "setting": dict, "grid": list, "seeds": list, "rows": dict}
    if not isinstance(content, dict) or not all(isinstance(content.get(key), kind) for key, kind in kinds.items()):
        return None
    parts = {"seed", "curve", "test", "bits"}
    whole = content["seeds"] and all(isinstance(each, dict) and parts <= each.keys() for each in content["seeds"])
    return content if whole else None
