"""Finds the text and label columns of a dataset by name and type."""

from __future__ import annotations

import datasets

from ..utils.listing import listed


TEXT_COLUMNS = (
    "text sentence content review document comment title body message question query tweet utterance headline "
    "article description abstract"
).split()
LABEL_COLUMNS = "label labels class category target sentiment topic intent emotion stars rating".split()
STRINGS = ("string", "large_string", "string_view")
_TEXTS = (*STRINGS, "null")  # a column without a single value has no type, whatever it is for


def dtype_of(feature: object) -> str:
    """The name of a column's type."""
    return feature.dtype if isinstance(feature, datasets.Value) else type(feature).__name__


def _one_column(role: str, given: str | None, candidates: list[str], features: datasets.Features, hint: str) -> str:
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
        raise ValueError(f"Found {found}. Name one with `{role}_column`. The columns are: {columns}.{hint}")
    return candidates[0]


def find_columns(
    features: datasets.Features, text_column: str | None = None, label_column: str | None = None, hint: str = ""
) -> tuple[str, str]:
    """
    Finds the text and the label column by name and type.

    Args:
        features (`datasets.Features`):
            The columns of the training split.
        text_column (`str`, *optional*):
            The text column. Else the one with a usual name, or the only string column that is not the label.
        label_column (`str`, *optional*):
            The label column. Else the one with a usual name, or the only `ClassLabel` column.
        hint (`str`, *optional*):
            A sentence that ends the message where a column is not found.

    Returns:
        `tuple[str, str]`: The names of the text and the label column.

    Raises:
        `ValueError`: If a column does not exist, is of the wrong type, or if there are none or several candidates.
    """
    candidates = [name for name in features if name.lower() in LABEL_COLUMNS and name != text_column]
    candidates = candidates or [name for name, item in features.items() if isinstance(item, datasets.ClassLabel)]
    label = _one_column("label", label_column, candidates, features, hint)

    strings = [name for name, feature in features.items() if dtype_of(feature) in _TEXTS and name != label]
    candidates = [name for name in strings if name.lower() in TEXT_COLUMNS] or strings
    text = _one_column("text", text_column, candidates, features, hint)
    if text == label:
        raise ValueError(f"text_column and label_column are both {text!r}; they must be two columns.")
    if dtype_of(features[text]) not in _TEXTS:
        raise ValueError(f"The text column {text!r} must hold strings, but its type is {dtype_of(features[text])}.")
    return text, label
