"""Rows without a label: which they are, and what becomes of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import datasets

from ..information.checks import IGNORE_INDEX
from .splits import format_rows


def missing_kind(value: Any, feature: object) -> str | None:
    """
    How a label says that it is missing; `None` for one that is there.

    Empty and NaN, and -100, which losses leave out, are missing; -1 is in a `ClassLabel`, where it can be no class.
    Among plain integers it may be one, as in -1, 0, 1 for negative, neutral and positive.
    """
    if value is None or value != value or (isinstance(value, str) and not value.strip()):
        return "empty"
    if isinstance(value, (int, float)) and (
        value == IGNORE_INDEX or (value == -1 and isinstance(feature, datasets.ClassLabel))
    ):
        return str(int(value))
    return None


def find_labelled(values: list, feature: object, column: str, split: str, notes: list[str]) -> list[bool] | None:
    """
    Which rows have a label. Those without are left out with a note, if they are few.

    Args:
        values (`list`): The label column of a split.
        feature (`object`): Its type in `datasets`.
        column, split (`str`): Names, for messages.
        notes (`list[str]`): Gets the note.

    Returns:
        `list[bool]`, *optional*: `None` if no row has a label, as in test sets whose labels are kept secret: there all
        are empty, -1 or -100.

    Raises:
        `ValueError`: if more than half of the rows have no label, and others do.
    """
    kinds = [missing_kind(value, feature) for value in values]
    missing = Counter(kind for kind in kinds if kind)
    total = missing.total()
    if total == len(values) or all(value == -1 for value in values):
        return None
    how = " or ".join(missing)
    if 2 * total > len(values):
        raise ValueError(
            f"Split {split!r}: {total:,} of {len(values):,} rows, more than half, have no label in column {column!r} "
            f"({how}). Take out the rows that are not to be used, or name another column with `label_column`."
        )
    if total:
        notes.append(f"{split}: {format_rows(total)} without a label ({how}) dropped")
    return [kind is None for kind in kinds]
