"""How csv, tsv and json files are to be read, and what to say of those that were written in another way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..utils.listing import listed
from .text_advice import delimiter_advice, explain_text_error, short


ESCAPES = {"\\t": "\t", "tab": "\t"}


@dataclass(frozen=True)
class TextFileOptions:
    """
    What a text file does not say about itself. Nothing of it is guessed: where a file cannot be read without, an error
    names the option that helps.

    Args:
        delimiter (`str`, *optional*): The character between the values of a csv or tsv file; `"\\t"` and `"tab"` stand
            for a tab. A comma, or a tab in a tsv file, if not given.
        encoding (`str`, *optional*): As Python calls it, such as `"latin-1"` or `"utf-16"`; UTF-8 if not given.
        column_names (`list[str]`, *optional*): The names of all columns of a csv or tsv file without a header. If not
            given, the first line holds the names.
        texts_only (`bool`, *optional*, defaults to `False`): Whether a single column is enough, as no label is needed.

    Raises:
        `ValueError`: for a delimiter of several characters, an unknown encoding, or column names that repeat.
    """

    delimiter: str | None = None
    encoding: str | None = None
    column_names: list[str] | None = None
    texts_only: bool = False

    def __post_init__(self):
        if self.delimiter is not None and (len(self.character) != 1 or self.character in '"\r\n'):
            raise ValueError(
                f"delimiter={self.delimiter!r} must be one character, such as ';', or 'tab', and no quote."
            )
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ValueError(
                    f"encoding={self.encoding!r} is unknown to Python; known are utf-8, latin-1, cp1252, utf-16, "
                    "gb18030, shift_jis and others."
                ) from error
        names = self.column_names
        if names is not None and (len(names) < 2 - self.texts_only or len(set(names)) < len(names) or not all(names)):
            fewest = "one" if self.texts_only else "two"
            raise ValueError(f"column_names={names} must be {fewest} or more names, all of them different.")

    @property
    def character(self) -> str:
        """The delimiter itself."""
        return ESCAPES.get(self.delimiter, self.delimiter) if self.delimiter else ","

    def given(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name, value in vars(self).items() if value is not None and name != "texts_only"}

    def check_applies(self, name: str, suffix: str | None) -> None:
        """`ValueError` if an option was given that says nothing about files with this `suffix` (`None`: no files)."""
        allowed = {".csv": 3, ".tsv": 3, ".json": 1, ".jsonl": 1}.get(suffix or "", 0)
        for option, value in self.given().items():
            if allowed < (1 if option == "encoding" else 3):
                kinds = "csv, tsv and json" if option == "encoding" else "csv and tsv"
                raise ValueError(f"{option}={value!r} is for {kinds} files, and {name!r} is none.")

    def for_csv(self, sep: str) -> dict[str, Any]:
        """Options of `pandas.read_csv`."""
        options: dict[str, Any] = {"sep": self.character if self.delimiter else sep}
        if self.encoding:
            options["encoding"] = self.encoding
        return options


def check_csv(path: Path, options: TextFileOptions, sep: str) -> list[str]:
    """
    Reads the first two lines of a csv file, and refuses what pandas would take for something else: with more values
    than names it makes row names of the first ones, and shifts the rest.

    Returns:
        `list[str]`: the values of the first line.

    Raises:
        `ValueError`: for lines that do not fit together or to the column names, and for what is not text.
    """
    reading = options.for_csv(sep)
    try:
        head = pd.read_csv(path, header=None, nrows=2, dtype=str, keep_default_na=False, **reading)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path} is empty.") from error
    except (ValueError, OSError) as error:  # which pandas' own errors and UnicodeDecodeError are
        raise ValueError(
            f"{path} cannot be read as csv: {explain_text_error(path, error, **options.for_csv(sep))}"
        ) from error
    first = [str(value) for value in head.iloc[0]]
    if any("\0" in value for value in first):
        raise ValueError(f"{path}: its first line holds NUL bytes, so it is no text file or has another `encoding`.")
    if len(first) == 1 and not options.texts_only:
        advice = (
            delimiter_advice(path, **options.for_csv(sep)) or "If another character separates them, give `delimiter`."
        )
        raise ValueError(f"{path}: its only column is {short(first[0])}, but it needs a text and a label. {advice}")
    names = options.column_names
    if names is None:
        repeated = [name for name, times in Counter(filter(str.strip, first)).items() if times > 1]
        if repeated:
            raise ValueError(f"{path}: line 1 names several columns {repeated[0]!r}. Rename all but one.")
    elif len(names) != len(first):
        raise ValueError(
            f"column_names={names} are {len(names)} names, but line 1 of {path} has {len(first)} values: "
            f"{listed(first, short)}."
        )
    elif first == names:
        raise ValueError(f"column_names={names} are the first line of {path} already: leave the option out.")
    return first


def column_names(path: Path, options: TextFileOptions, sep: str) -> list[str]:
    """The names of the columns of a csv file, as pandas has them."""
    return options.column_names or list(pd.read_csv(path, nrows=0, **options.for_csv(sep)).columns)
