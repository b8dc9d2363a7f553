"""What kind of labels a model is for, and whether a dataset has such labels."""

from __future__ import annotations

import torch

from .inference import LABEL_NAMES
from .information.checks import IGNORE_INDEX, check_labels
from .information.targets import binary_labels, check_targets, target_edges


def find_problem_type(config) -> str:
    """The problem type in a model's config; where it does not tell, regression for one label, else one class."""
    one_number = getattr(config, "num_labels", None) == 1
    return getattr(config, "problem_type", None) or ("regression" if one_number else "single_label_classification")


def check_dataset(dataset, num_classes: int, problem_type: str = "single_label_classification") -> None:
    """
    Looks at the labels before any compute, where the dataset has them in a column.

    Raises:
        `ValueError`: for an empty dataset, labels that are not what `problem_type` says, or labels that are all the
        same.
    """
    if not hasattr(dataset, "__len__"):
        return  # a stream cannot be looked at before it runs
    if len(dataset) == 0:
        raise ValueError("The dataset to score is empty: needs labelled rows of 2 classes at least.")
    # Rows are only known to be cheap to read by column; other datasets are checked batch by batch.
    columns = getattr(dataset, "column_names", None) or []
    column = next((name for name in LABEL_NAMES if name in columns), None)
    if column is None:
        return
    values = torch.as_tensor(dataset.with_format("torch", columns=[column])[column][:])
    if problem_type == "regression":
        target_edges(check_targets(values), num_classes)
    elif problem_type == "multi_label_classification":
        has, counted = binary_labels(values)
        if has.shape[1] != num_classes:
            raise ValueError(f"Column {column!r} holds {has.shape[1]} labels a row, the model has {num_classes}.")
        if not (has[counted].any(0) & ~has[counted].all(0)).any():
            raise ValueError(f"Column {column!r}: each label is the same in all rows: needs one that varies.")
    else:
        check_labels(values, num_classes)
        classes = values[values != IGNORE_INDEX].unique()
        if len(classes) < 2:
            raise ValueError(f"Column {column!r} holds {len(classes)} class(es) {classes.tolist()}: needs 2 at least.")
