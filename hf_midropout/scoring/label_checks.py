"""Whether the labels of a dataset are what a model is for, read a column at a time, before any compute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import datasets
import numpy as np
import torch

from ..information.checks import IGNORE_INDEX
from ..information.targets import binary_labels, check_targets
from ..utils.listing import listed


BATCH_ROWS = 1 << 16
"""Rows read at once: a hundred million labels are never in memory together."""


def check_classes_column(dataset: datasets.Dataset, column: str, num_classes: int) -> None:
    """`ValueError` unless `column` holds integer classes in 0..num_classes-1 or -100, and two of them at least."""
    check_present(classes_in_column(dataset, column, num_classes), f"Column {column!r}")


def classes_in_column(dataset: datasets.Dataset, column: str, num_classes: int) -> set[int]:
    """The classes that `column` holds; `ValueError` unless they are integers in 0..num_classes-1 or -100."""
    check_class_type(dataset.features[column], dataset, column)
    present: set[int] = set()
    for first, values in _batches(dataset, column):
        check_class_values(values, num_classes, f"column {column!r}", first)
        present.update(np.unique(values).tolist())
    return present - {IGNORE_INDEX}


def check_class_type(feature: Any, dataset: datasets.Dataset, column: str) -> None:
    """`ValueError` that says how to bring a column of another type to integer classes."""
    dtype = feature.dtype if isinstance(feature, (datasets.Value, datasets.ClassLabel)) else type(feature).__name__
    if dtype.startswith(("int", "uint")):
        return
    start = f"Column {column!r} holds {dtype}, but classes must be integers"
    cast = f"dataset.cast_column({column!r}, datasets.Value('int64'))"
    if dtype in ("string", "large_string", "string_view"):
        raise ValueError(
            f"{start}: map names such as {dataset[:1][column][0]!r} to numbers with "
            f"dataset.map(lambda row: {{{column!r}: model.config.label2id[row[{column!r}]]}}), or with "
            f"dataset.class_encode_column({column!r}) in alphabetical order."
        )
    if dtype == "bool":
        raise ValueError(f"{start}: {cast} makes them.")
    if dtype.startswith(("float", "double", "half")):
        raise ValueError(
            f"{start}: {cast} makes them of whole numbers, after rows with a missing label (NaN) were taken out. For "
            "regression, the model's config must say problem_type='regression'."
        )
    if dtype == "null":
        raise ValueError(f"Column {column!r} holds no value in any row: needs labels of 2 classes at least.")
    if dtype in ("List", "LargeList", "list", "Sequence"):
        raise ValueError(
            f"{start}, one a row. For several binary labels a row, the model's config must say "
            "problem_type='multi_label_classification'."
        )
    raise ValueError(f"{start}.")


def check_class_values(values: np.ndarray, num_classes: int, where: str, first: int = 0) -> None:
    """`ValueError` that names the first row whose class is neither in 0..num_classes-1 nor -100."""
    invalid = ((values < 0) & (values != IGNORE_INDEX)) | (values >= num_classes)
    if invalid.any():
        rows = invalid.nonzero()[0]
        more = f" ({len(rows):,} such rows among the first {first + len(values):,})" if len(rows) > 1 else ""
        raise ValueError(
            f"Row {first + int(rows[0]):,} has the label {int(values[rows[0]])} in {where}{more}: must be in "
            f"0..{num_classes - 1}, or -100 to leave the row out."
        )


def check_present(present: set[int], where: str) -> None:
    """`ValueError` unless there are two classes among the labels `present`."""
    if len(present) < 2:
        raise ValueError(f"{where} holds {len(present)} class(es) {sorted(present)}: needs 2 at least.")


def check_binary_column(dataset: datasets.Dataset, column: str, num_labels: int) -> None:
    """`ValueError` unless `column` holds `num_labels` zeros and ones a row, or only -100, and one of them varies."""
    some, every = torch.zeros(num_labels, dtype=torch.bool), torch.ones(num_labels, dtype=torch.bool)
    for first, rows in _formatted(dataset, column, "torch"):
        if not isinstance(rows, torch.Tensor):
            raise ValueError(f"Column {column!r}: lists must be of {num_labels} zeros and ones each, in every row.")
        if rows.ndim != 2 or rows.shape[1] != num_labels:
            shown = rows.shape[1] if rows.ndim == 2 else 1
            raise ValueError(f"Column {column!r} holds {shown} labels a row, the model has {num_labels}.")
        try:
            has, counted = binary_labels(rows)
        except ValueError as error:
            raise ValueError(f"Column {column!r}, rows {first:,} to {first + len(rows) - 1:,}: {error}") from None
        some |= has[counted].any(0)
        every &= has[counted].all(0)
    if not (some & ~every).any():
        raise ValueError(f"Column {column!r}: each label is the same in all rows: needs one that varies.")


def check_target_column(dataset: datasets.Dataset, column: str, bins: int) -> None:
    """`ValueError` unless `column` holds one finite number a row, and two different ones at least."""
    if bins < 2:
        raise ValueError(f"num_classes={bins}: targets are put in 2 bins or more.")
    lowest, highest = float("inf"), float("-inf")
    for first, rows in _formatted(dataset, column, "torch"):
        if not isinstance(rows, torch.Tensor):
            raise ValueError(f"Column {column!r} must hold a number in every row, for regression.")
        try:
            targets = check_targets(rows)
        except ValueError as error:
            raise ValueError(f"Column {column!r}, rows {first:,} to {first + len(rows) - 1:,}: {error}") from None
        lowest, highest = min(lowest, targets.min().item()), max(highest, targets.max().item())
    if lowest == highest:
        raise ValueError(f"All {len(dataset):,} regression targets are {lowest:g}: needs 2 values at least.")


def check_listed_rows(rows: list, names: Sequence[str], num_classes: int) -> None:
    """The same for classes in a list of dictionaries, as far as they are plain integers."""
    present: set[int] = set()
    name = next((name for name in names if isinstance(rows[0], dict) and name in rows[0]), None)
    for number, row in enumerate(rows):
        value = row.get(name) if name is not None and isinstance(row, dict) else None
        if not isinstance(value, int):
            return  # a tensor, or what the collator says more about
        check_class_values(np.array([value]), num_classes, repr(name), number)
        present.add(value)
    check_present(present - {IGNORE_INDEX}, f"{name!r} of the rows")


def _batches(dataset: datasets.Dataset, column: str) -> Iterator[tuple[int, np.ndarray]]:
    """The number of the first row and the values of each batch of an integer column; `ValueError` if one is null."""
    for first, values in _formatted(dataset, column, "arrow"):
        if values.null_count:
            row = first + int(np.asarray(values.is_null()).nonzero()[0][0])
            raise ValueError(
                f"Row {row:,} has no label in column {column!r}: leave such rows out, or write -100 for their label."
            )
        yield first, values.to_numpy()


def _formatted(dataset: datasets.Dataset, column: str, kind: str) -> Iterator[tuple[int, Any]]:
    first = 0
    for batch in dataset.with_format(kind, columns=[column]).iter(batch_size=BATCH_ROWS):
        values = batch[column]
        yield first, values
        first += len(values)


def columns_of(dataset: Any) -> list[str]:
    """
    The columns that the rows of a dataset have, if it is a `datasets.Dataset` whose rows are what is in its columns;
    else none. Under `set_transform` rows may have others, made when they are read.
    """
    if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] == "custom":
        return []
    return list(dataset.format["columns"])


def check_kind(dataset: Any) -> None:
    """`ValueError` for what is no dataset, or several."""
    if isinstance(dataset, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        raise ValueError(f"The dataset is a {type(dataset).__name__} of {listed(dataset)}: give one of these splits.")
    if dataset is None or isinstance(dataset, (str, bytes, dict)):
        raise ValueError(
            f"dataset={dataset if isinstance(dataset, str) else type(dataset).__name__!r}: must be rows, such as a "
            "tokenized datasets.Dataset."
        )
