"""Loads texts whose labels are not one class each: several binary labels, or a number."""

from __future__ import annotations

from collections.abc import Sequence

import datasets

from .columns import find_columns
from .datasets import BUILTIN_NAME, TextClassificationData
from .files import read_splits
from .splits import format_rows, select_splits
from .standardized import TEXTS
from .text_files import TextFileOptions


def load_texts_with_targets(
    name: str | None,
    split: str,
    problem_type: str,
    num_labels: int,
    *,
    subset: str | None = None,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    column_names: list[str] | None = None,
    label_names: list[str] | None = None,
) -> TextClassificationData:
    """
    Loads one split. Rows without a text or a label are dropped, which a note says, as long as they are not more than
    half.

    Args:
        name (`str`): As in [`load_text_classification`].
        split (`str`): `"train"`, `"validation"` or `"test"`.
        problem_type (`str`): `"multi_label_classification"`: a list a row, of `num_labels` zeros and ones or of the
            numbers of the labels that the row has. `"regression"`: a number a row.
        num_labels (`int`): Of the model.
        subset, text_column, label_column, delimiter, encoding, column_names (*optional*): As in
            [`load_text_classification`].

    Returns:
        [`TextClassificationData`]: with this split only, and no names of classes.

    Raises:
        `ValueError`: if the data cannot be found, or if the labels are not of that kind.
    """
    if name is None or name == BUILTIN_NAME:
        raise ValueError(
            f"The model is for {problem_type}, but {BUILTIN_NAME!r} has one class per row: name a dataset."
        )
    if label_names is not None:
        raise ValueError(f"label_names={label_names}: must be left out, as the model is for {problem_type}.")
    raw = read_splits(name, subset, TextFileOptions(delimiter, encoding, column_names))
    splits = select_splits(raw.splits, [], needs_train=False)
    if split not in splits:
        raise ValueError(f"split={split!r}: the data has {', '.join(splits)} only.")
    rows = splits[split]
    columns, label = find_columns(rows.features, text_column, label_column, raw.column_hint)
    texts, values = [rows[column][:] for column in columns], rows[label][:]
    kept = [
        row
        for row, pair in enumerate(zip(*texts, strict=True))
        if all((text or "").strip() for text in pair) and not _is_missing(values[row])
    ]
    if 2 * len(kept) < len(rows) or not kept:
        raise ValueError(
            f"Split {split!r}: only {len(kept):,} of {format_rows(len(rows))} have a text in "
            f"{' and '.join(map(repr, columns))} and a label in "
            f"{label!r}. Take out those that are not to be used, or name other columns with `text_column` and "
            "`label_column`."
        )
    if len(kept) < len(rows):
        raw.notes.append(f"{split}: {format_rows(len(rows) - len(kept))} without a text or a label dropped")
    values = [values[row] for row in kept]
    if problem_type == "regression":
        if not all(isinstance(value, (int, float)) for value in values):
            raise ValueError(f"The label column {label!r} must hold a number in every row, for regression.")
        targets: list = [float(value) for value in values]
    else:
        targets = multi_hot(values, num_labels, label)
    named = {name: [column[row] for row in kept] for name, column in zip(TEXTS, texts, strict=False)}
    found = datasets.Dataset.from_dict({**named, "label": targets})
    return TextClassificationData(name, datasets.DatasetDict({split: found}), [], raw.notes, raw.source)


def _is_missing(value) -> bool:
    """None, NaN or an empty text; a list without labels is one of none."""
    return value is None or value != value or value == ""


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
