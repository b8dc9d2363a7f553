"""What kind of labels a model is for, and whether a dataset has such labels."""

from __future__ import annotations

from collections.abc import Sequence

from .batches import LABEL_NAMES
from .label_checks import (
    check_binary_column,
    check_classes_column,
    check_kind,
    check_listed_rows,
    check_target_column,
    columns_of,
)


def find_problem_type(config) -> str:
    """The problem type in a model's config; where it does not tell, regression for one label, else one class."""
    one_number = getattr(config, "num_labels", None) == 1
    return getattr(config, "problem_type", None) or ("regression" if one_number else "single_label_classification")


def check_dataset(
    dataset,
    num_classes: int,
    problem_type: str = "single_label_classification",
    label_names: Sequence[str] = LABEL_NAMES,
) -> None:
    """
    Looks at the labels before any compute, where the dataset has them in a column, or is a list. Rows of other
    datasets are not read: that may be slow, or draw random numbers.

    Args:
        dataset (`datasets.Dataset`, `torch.utils.data.Dataset` or `list`): Rows.
        num_classes (`int`): Classes or binary labels of the model; of regression targets, their bins.
        problem_type (`str`, *optional*): As in a model's config.
        label_names (`Sequence[str]`, *optional*): Columns that may hold the labels.

    Raises:
        `ValueError`: for several datasets or none, an empty one, labels that are not what `problem_type` says, or
            labels that are all the same. It names the column, and the first row that is wrong.
    """
    check_kind(dataset)
    if not hasattr(dataset, "__len__"):
        return  # a stream cannot be looked at before it runs
    if len(dataset) == 0:
        raise ValueError("The dataset to score is empty: needs labelled rows of 2 classes at least.")
    if isinstance(dataset, (list, tuple)) and problem_type == "single_label_classification":
        check_listed_rows(list(dataset), label_names, num_classes)
    columns = columns_of(dataset)
    column = next((name for name in label_names if name in columns), None)
    if column is None:
        return
    check = {
        "single_label_classification": check_classes_column,
        "multi_label_classification": check_binary_column,
        "regression": check_target_column,
    }[problem_type]
    check(dataset, column, num_classes)
