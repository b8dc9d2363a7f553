"""Lists in messages: short, whatever is listed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import islice
from typing import Any


MOST = 8


def listed(values: Collection[Any], form: Callable[[Any], str] = str) -> str:
    """
    `values` in a line, as in "a, b, c"; of more than eight the first eight, and the number of the others.

    Args:
        values (`Collection`): What to list, in its order.
        form (`Callable`, *optional*, defaults to `str`): Makes a string of each.
    """
    shown = ", ".join(form(value) for value in islice(values, MOST))
    more = len(values) - MOST
    return f"{shown}, ... and {more:,} more" if more > 0 else shown
