"""Text of strangers (file names, labels, servers' messages) on the terminal: no control characters, not megabytes."""

from __future__ import annotations

import textwrap
from typing import Any


WIDTH = 79
"""Columns of what commands print."""

LIMIT = 1_000
"""Characters of a message; a path or a list of files fits."""


def printable(text: Any, limit: int = LIMIT) -> str:
    r"""
    `str(text)` in one piece that a terminal shows as it is: control characters, escape sequences and what UTF-8 cannot
    write become `\x1b` and the like; line ends stay; what is longer than `limit` characters is cut.

    Args:
        text (`Any`): What came from a file or a server.
        limit (`int`, *optional*, defaults to 1000): Characters at most.
    """
    text = str(text)
    cut = f"... ({len(text):,} characters)" if len(text) > limit else ""
    kept = (
        letter
        if letter == "\n" or letter.isprintable()
        else letter.encode("unicode_escape", "surrogatepass").decode("ascii")
        for letter in text[:limit]
    )
    return "".join(kept) + cut


def one_line(text: Any, limit: int = 200) -> str:
    """[`printable`] without line ends: for a value quoted inside a message."""
    return " ".join(printable(str(text)[: 4 * limit], 4 * limit).split())[:limit]


def folded(text: str, indent: str = "") -> str:
    """`text` in lines of [`WIDTH`] columns, those after the first with `indent` before them; words stay whole."""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
