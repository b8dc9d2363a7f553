"""Finds the text and label columns of a dataset by name and type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import datasets

from ..utils.listing import listed


TEXT_COLUMNS = (
    "text sentence content review document comment title body message question query tweet utterance headline "
    "article description abstract"
).split()
LABEL_COLUMNS = "label labels class category target sentiment topic intent emotion stars rating".split()
PAIRS = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("sentence_1", "sentence_2"), ("sentence_a", "sentence_b"),
    ("question1", "question2"), ("text1", "text2"), ("text_a", "text_b"), ("text", "text_pair"),
    ("question", "sentence"), ("question", "passage"), ("question", "context"), ("question", "answer"),
    ("query", "passage"), ("query", "document"), ("sentence", "question"),
)  # fmt: skip
"""Usual names of the columns of pairs of texts, in the order in which models have seen them."""
STRINGS = ("string", "large_string", "string_view")
_TEXTS = (*STRINGS, "null")  # a column without a single value has no type, whatever it is for


def dtype_of(feature: object) -> str:
    """The name of a column's type."""
    return feature.dtype if isinstance(feature, datasets.Value) else type(feature).__name__


def find_columns(
    features: datasets.Features,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    hint: str = "",
) -> tuple[list[str], str]:
    """
    Finds the columns of the text, or of a pair of texts, and of the label by name and type.

    Args:
        features (`datasets.Features`):
            The columns of the training split.
        text_column (`str` or `Sequence[str]`, *optional*):
            The text column, or two for pairs of texts. Else the one with a usual name, or the only string column that
            is not the label.
        label_column (`str`, *optional*):
            The label column. Else the one with a usual name, or the only `ClassLabel` column.
        hint (`str`, *optional*):
            A sentence that ends the message where a column is not found.

    Returns:
        `tuple[list[str], str]`: The names of the one or two text columns, and that of the label column.

    Raises:
        `ValueError`: If a column does not exist, is of the wrong type, or if there are none or several candidates.
    """
    given = _given(text_column)
    candidates = [name for name in features if name.lower() in LABEL_COLUMNS and name not in given]
    candidates = candidates or [name for name, item in features.items() if isinstance(item, datasets.ClassLabel)]
    label = _one_column("label", label_column, candidates, features, hint)
    if label in given:
        raise ValueError(f"text_column and label_column are both {label!r}; they must be two columns.")
    return find_texts(features, text_column, hint, {label}), label


def find_texts(
    features: datasets.Features,
    text_column: str | Sequence[str] | None = None,
    hint: str = "",
    others: Iterable[str] = (),
) -> list[str]:
    """
    Finds the column of the text, or the two of a pair, as [`find_columns`]; `others` (`Iterable[str]`) hold none.

    Raises:
        `ValueError`: As that does; and if the columns have the usual names of a pair and none was asked for.
    """
    given = _given(text_column)
    strings = [name for name, feature in features.items() if dtype_of(feature) in _TEXTS and name not in others]
    candidates = [name for name in strings if name.lower() in TEXT_COLUMNS] or strings
    if not given:
        advice, pair = "", _usual_pair(strings)
        if pair and (len(candidates) != 1 or candidates[0] in pair):
            advice = f", or both for pairs of texts, in the order {' '.join(pair)}"
            candidates = list(pair)
        given = [_one_column("text", None, candidates, features, hint, advice)]
    for name in given:
        _one_column("text", name, [], features, hint)
        if dtype_of(features[name]) not in _TEXTS:
            raise ValueError(
                f"The text column {name!r} must hold strings, but its type is {dtype_of(features[name])}."
            )
    return given


def _given(text_column: str | Sequence[str] | None) -> list[str]:
    """The text columns that were asked for."""
    given = [text_column] if isinstance(text_column, str) else list(text_column or [])
    if len(given) > 2:
        raise ValueError(
            f"text_column={given} are {len(given)} columns; must be one, or two for pairs of texts. Join others into "
            "one beforehand."
        )
    if len(set(given)) < len(given):
        raise ValueError(f"text_column={given}: the two texts of a pair must be in two columns.")
    return given


def _usual_pair(columns: list[str]) -> tuple[str, str] | None:
    """Two of `columns` whose names are those of a pair."""
    folded = {name.lower(): name for name in columns}
    return next(((folded[one], folded[other]) for one, other in PAIRS if one in folded and other in folded), None)


def _one_column(
    role: str, given: str | None, candidates: list[str], features: datasets.Features, hint: str, advice: str = ""
) -> str:
    """Returns the column that was asked for, or else the only candidate."""
    columns = listed(features, lambda name: f"{name[:60]} ({dtype_of(features[name])})")
    if given is not None:
        if given not in features:
            raise ValueError(
                f"{role}_column={given!r} is not a column of the dataset. Its columns are: {columns}.{hint}"
            )
        return given
    if len(candidates) != 1:
        found = f"several columns could be the {role} ({listed(candidates)})" if candidates else f"no {role} column"
        raise ValueError(f"Found {found}. Name one with `{role}_column`{advice}. The columns are: {columns}.{hint}")
    return candidates[0]
