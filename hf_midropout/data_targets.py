"""Loads texts whose labels are not one class each: several binary labels, or a number."""

from __future__ import annotations

import datasets

from .data import BUILTIN_NAME
from .data_files import read_splits
from .data_labels import find_columns
from .data_splits import select_splits


def load_texts_with_targets(
    name: str | None,
    split: str,
    problem_type: str,
    num_labels: int,
    *,
    subset: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
) -> datasets.Dataset:
    """
    Loads one split.

    Args:
        name (`str`): As in [`load_text_classification`].
        split (`str`): `"train"`, `"validation"` or `"test"`.
        problem_type (`str`): `"multi_label_classification"`: a list a row, of `num_labels` zeros and ones or of the
            numbers of the labels that the row has. `"regression"`: a number a row.
        num_labels (`int`): Of the model.
        subset, text_column, label_column (`str`, *optional*): As in [`load_text_classification`].

    Returns:
        `datasets.Dataset`: with the columns `text` and `label`, without the rows that have no text.

    Raises:
        `ValueError`: if the data cannot be found, or if the labels are not of that kind.
    """
    if name is None or name == BUILTIN_NAME:
        raise ValueError(
            f"The model is for {problem_type}, but {BUILTIN_NAME!r} has one class per row: name a dataset."
        )
    splits = select_splits(read_splits(name, subset)[0], [])
    if split not in splits:
        raise ValueError(f"--split {split}: must be one of {', '.join(splits)}.")
    rows = splits[split]
    text, label = find_columns(rows.features, text_column, label_column)
    rows = rows.select_columns([text, label]).filter(lambda row: bool((row[text] or "").strip()))
    if len(rows) == 0:
        raise ValueError(f"Split {split!r} has no row with a text in {text!r}.")
    values = rows[label][:]
    if problem_type == "regression":
        if not all(isinstance(value, (int, float)) for value in values):
            raise ValueError(f"The label column {label!r} must hold a number in every row, for regression.")
        targets: list = [float(value) for value in values]
    else:
        targets = multi_hot(values, num_labels, label)
    return datasets.Dataset.from_dict({"text": rows[text][:], "label": targets})


def multi_hot(values: list, num_labels: int, column: str) -> list[list[float]]:
    """Lists of zeros and ones, of such lists or of lists of label numbers; `ValueError` for other values."""
    if not all(isinstance(value, (list, tuple)) for value in values):
        raise ValueError(f"The label column {column!r} must hold a list in every row, for several binary labels.")
    if all(len(value) == num_labels and set(value) <= {0, 1} for value in values):
        return [[float(entry) for entry in value] for value in values]
    wrong = [entry for value in values for entry in value if entry not in range(num_labels)]
    if wrong or any(len(set(value)) < len(value) for value in values):
        shown = f"such as {wrong[0]!r}" if wrong else "with repeated numbers"
        raise ValueError(
            f"The label column {column!r} has lists {shown}: they must hold {num_labels} zeros and ones each, as the "
            f"model has {num_labels} labels, or the numbers, 0..{num_labels - 1}, of the labels that a row has."
        )
    return [[float(label in value) for label in range(num_labels)] for value in values]
