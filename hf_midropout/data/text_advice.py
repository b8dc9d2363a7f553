"""Which option helps with a csv or json file that cannot be read as it is."""

from __future__ import annotations

import csv
from itertools import islice
from pathlib import Path

import pandas as pd

from ..utils.error_chain import chain
from .columns import LABEL_COLUMNS, TEXT_COLUMNS


DELIMITERS = (",", ";", "\t", "|")
SAMPLE_LINES = 20
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def explain_text_error(path: Path, error: BaseException, sep: str, encoding: str | None = None) -> str:
    """Why a csv or json file could not be read, and which option helps."""
    for link in chain(error):
        if isinstance(link, UnicodeDecodeError):
            return _encoding_advice(path, link, encoding)
        if isinstance(link, pd.errors.ParserError):
            reason = str(link).replace("Error tokenizing data. C error: ", "").strip()
            advice = delimiter_advice(path, sep, encoding)
            return f"{reason}. {advice or 'A value that holds the delimiter must be in double quotes.'}"
    return reason_of(error.__cause__ or error)


def reason_of(error: BaseException) -> str:
    """The kind of an error and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


def _encoding_advice(path: Path, error: UnicodeDecodeError, encoding: str | None) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    likely = next((name for bom, name in _BOMS.items() if start.startswith(bom)), None)
    if likely and encoding is None:
        return f"it is not UTF-8, but begins as UTF-16 does. Give encoding={likely!r}."
    data, place = bytes(error.object), error.start
    around = data[max(place - 20, 0) : place + 10]
    windows = any(0x80 <= byte < 0xA0 for byte in around)
    likely = "cp1252" if windows else "latin-1"
    shown = around.decode(likely, errors="replace").replace("\r", " ").replace("\n", " ")
    return (
        f"it holds the byte 0x{data[place]:02x}, which is not {(encoding or 'utf-8').upper()}. Give its "
        f"encoding, such as encoding={likely!r}, with which it reads {shown!r}."
    )


def delimiter_advice(path: Path, sep: str, encoding: str | None = None) -> str:
    """Which delimiter splits all of the first lines into as many values, if another one than the present does."""
    try:
        with path.open(encoding=encoding or "utf-8-sig", errors="replace", newline="") as file:
            lines = list(islice(file, SAMPLE_LINES))
        found = []
        for delimiter in DELIMITERS:
            rows = list(csv.reader(lines, delimiter=delimiter))
            if delimiter != sep and len(rows[0]) > 1 and len({len(row) for row in rows if row}) == 1:
                usual = sum(name.strip().lower() in (*TEXT_COLUMNS, *LABEL_COLUMNS) for name in rows[0])
                found.append((usual, len(rows[0]), delimiter))
    except (csv.Error, OSError, UnicodeError):
        return ""
    if not found:
        return ""
    best = max(found)[2]
    return f"Give delimiter={'tab' if best == chr(9) else best!r}."


def short(value: str) -> str:
    """`value` in quotes, cut to 60 characters."""
    return repr(value if len(value) <= 60 else value[:57] + "...")
