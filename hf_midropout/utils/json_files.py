"""JSON of strangers: limits on bytes, on depth, and on numbers that no float or tensor can hold."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any, NoReturn


MAX_JSON_BYTES = 16 * 2**20
MAX_NUMBER = 2**63
"""Exclusive: what a tensor of integers holds."""

SUSPECT = re.compile(rb"[0-9]{19}|[eE]\+?[0-9]{3}")
"""Nothing without this is out of range; looking at each number by itself takes seconds for a large file."""


def read_json(path: Path, limit: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """
    A JSON object of at most `limit` bytes.

    Raises:
        `ValueError`: for anything else, and for numbers that are infinite, NaN, or integers of more than 64 bits.
    """
    size = path.stat().st_size
    if size > limit:
        raise ValueError(f"{path.name} has {size:,} bytes: {limit:,} are allowed.")
    return parse_json(path.read_bytes(), path.name)


def parse_json(content: bytes, name: str, max_number: float = MAX_NUMBER) -> dict[str, Any]:
    """The object in `content`, UTF-8 and without a key twice; `name` is for messages."""

    def refuse(text: str) -> NoReturn:
        raise OutOfRange(f"{name} holds the number {text[:40]}: must be finite, and integers of at most 64 bits.")

    def integer(text: str) -> int:
        if len(text) > 60 or abs(int(text)) >= max_number:
            refuse(text)
        return int(text)

    def real(text: str) -> float:
        value = float(text)
        return value if math.isfinite(value) else refuse(text)

    numbers: dict[str, Any] = {"parse_int": integer, "parse_float": real} if SUSPECT.search(content) else {}
    try:
        parsed = json.loads(content.decode("utf-8"), parse_constant=refuse, object_pairs_hook=unique, **numbers)
    except OutOfRange:
        raise
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name} is not valid JSON.") from error
    if not isinstance(parsed, dict):
        raise ValueError(f"{name} must hold a JSON object.")
    return parsed


class OutOfRange(ValueError):
    """A number of a JSON file is none that anything here can work with."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two values for one key, readers would take one or the other."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key stands there twice")
    return content
