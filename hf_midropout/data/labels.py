"""Brings labels of any kind to class indices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import datasets

from ..utils.listing import MOST, listed
from .columns import STRINGS, dtype_of


@dataclass
class LabelEncoder:
    """
    Maps the labels of a training split to 0..C-1, and the labels of the other splits in the same way.

    Args:
        column (`str`):
            The label column, for messages.
        names (`list[str]`):
            The names of the classes, in the order of their indices.
        indices (`dict[Hashable, int]`):
            The class index of every label of the training split, by original value.
    """

    column: str
    names: list[str]
    indices: dict[Hashable, int]

    @classmethod
    def fit(
        cls, column: str, feature: object, labels: Sequence[Hashable], label_names: list[str] | None = None
    ) -> LabelEncoder:
        """
        Takes the classes from the training labels. `labels` are as `original_labels` returns them; `label_names`, if
        given, are the names of integers.
        """
        present: set[Any] = set(labels)
        if len(present) < 2:
            raise ValueError(
                f"All {len(labels):,} training rows have the label {next(iter(present))!r} in column {column!r}. "
                "Classification needs at least two classes."
            )
        if label_names is not None:
            return cls(column, list(label_names), numbered(label_names, present, feature, column))
        # A ClassLabel keeps its order and its names, also those of classes without a training row.
        names = list(feature.names) if isinstance(feature, datasets.ClassLabel) else sorted(present)
        indices = {name: index for index, name in enumerate(names) if name in present}
        return cls(column, [str(name) for name in names], indices)

    def encode(self, labels: Sequence[Hashable], split: str) -> list[int]:
        """Returns the class indices of a split's labels, which must all occur in the training split."""
        unknown = Counter(label for label in labels if label not in self.indices)
        if unknown:
            raise ValueError(
                f"Split {split!r} has labels in column {self.column!r} that the train split does not have: "
                f"{counted(unknown)}. The train split has {listed(self.indices, repr)}."
            )
        return [self.indices[label] for label in labels]

    def as_in_train(self, labels: Sequence[Hashable], split: str, notes: list[str]) -> Sequence[Hashable]:
        """
        Labels of the type of the training split's, where a file's columns were typed in another way: numbers there,
        the same numbers as text here, or the other way round.
        """
        present = set(labels)
        trained = {type(label) for label in self.indices}
        if present & self.indices.keys() or len(trained) != 1 or {type(label) for label in present} == trained:
            return labels
        (kind,) = trained
        try:
            read = {label: kind(label) for label in present}  # type: ignore[call-arg]
        except (TypeError, ValueError):
            return labels
        if kind is bool or not set(read.values()) <= self.indices.keys():
            return labels
        notes.append(f"{split}: labels are read as {'text' if kind is str else 'numbers'}, as in train")
        return [read[label] for label in labels]


def check_names(label_names: list[str] | None) -> None:
    """`ValueError` for names of classes that are too few, empty or repeated."""
    if label_names is None:
        return
    repeated = [name for name, times in Counter(label_names).items() if times > 1]
    if len(label_names) < 2 or repeated or not all(name.strip() for name in label_names):
        why = f"{repeated[0]!r} occurs twice" if repeated else "must be two or more, none of them empty"
        raise ValueError(f"label_names={label_names}: {why}.")


def numbered(label_names: list[str], present: set[Any], feature: object, column: str) -> dict[Hashable, int]:
    """
    The class index of each label that `label_names` name: labels 0..C-1 by number; others, such as 1..5, in their
    order, if there are as many.

    Args:
        label_names (`list[str]`): Names of the classes, in the order of their indices.
        present (`set`): The labels that occur, as [`original_labels`] gives them.
        feature (`object`): The type of their column in `datasets`.
        column (`str`): Its name, for messages.

    Raises:
        `ValueError`: for labels that are no integers, or another number of them.
    """
    if isinstance(feature, datasets.ClassLabel):
        if len(feature.names) != len(label_names):
            raise ValueError(
                f"label_names={label_names} are {len(label_names)} names, but column {column!r} has "
                f"{len(feature.names)} classes: {listed(feature.names, repr)}."
            )
        return {name: index for index, name in enumerate(feature.names) if name in present}
    shown = listed(sorted(present, key=str), repr)
    if not all(isinstance(label, int) for label in present):
        raise ValueError(f"label_names={label_names} are for integer labels, but column {column!r} has {shown}.")
    if present <= set(range(len(label_names))):
        return {label: int(label) for label in sorted(present)}
    if len(present) == len(label_names):
        return {label: index for index, label in enumerate(sorted(present))}
    raise ValueError(
        f"label_names={label_names} are {len(label_names)} names, but column {column!r} has {len(present)} labels: "
        f"{shown}. Must be as many, in the order of the numbers."
    )


def counted(counter: Counter) -> str:
    """Values and the rows that they are in, most frequent first."""
    items = [f"{value!r} ({count:,} {'row' if count == 1 else 'rows'})" for value, count in counter.most_common()]
    return listed(items) if len(items) <= MOST else f"{listed(items[:MOST])}, ... and {len(items) - MOST:,} more"


def original_labels(values: list, feature: object, column: str, split: str) -> list[Hashable]:
    """
    Checks a split's labels and returns them as they were meant: `ClassLabel` indices by name, whole numbers that are
    stored as floats as integers, others unchanged.

    Args:
        values (`list`):
            The labels, those of rows without one left out: see [`find_labelled`].
        feature (`object`):
            The type of their column in `datasets`.
        column (`str`):
            Its name, for messages.
        split (`str`):
            The split's name, for messages.

    Raises:
        `ValueError`: If labels are negative, out of range, fractions or not single values.
    """
    dtype = dtype_of(feature)
    if dtype.startswith(("float", "double", "half")):
        fractions = Counter(value for value in values if value % 1)  # NaN and infinity for infinite ones too
        if fractions:
            raise ValueError(
                f"The label column {column!r} of split {split!r} holds numbers that are not whole ({dtype}): "
                f"{counted(fractions)}. Regression is not supported: classes must be integers, whole numbers, "
                "strings, booleans or a ClassLabel."
            )
        values = [int(value) for value in values]
    elif not isinstance(feature, datasets.ClassLabel) and (
        dtype not in (*STRINGS, "bool") and not dtype.startswith(("int", "uint"))
    ):
        raise ValueError(
            f"The label column {column!r} of split {split!r} is of type {dtype}; one integer, string, boolean or "
            "ClassLabel a row is allowed (multi-label classification is not supported)."
        )
    negative = Counter(value for value in values if isinstance(value, int) and value < 0)
    if negative:
        ambiguous = ", as -1 may stand for rows without a label or be a class" if -1 in negative else ""
        raise ValueError(
            f"Split {split!r} has negative labels in column {column!r}: {counted(negative)} of {len(values):,}. "
            f"Labels must be 0 or greater{ambiguous}: recode them as 0, 1, 2 or as words, and leave the label of rows "
            "without one empty or write -100."
        )
    if isinstance(feature, datasets.ClassLabel):
        outside = Counter(value for value in values if value >= len(feature.names))
        if outside:
            raise ValueError(
                f"Split {split!r} has labels in column {column!r} out of the range 0..{len(feature.names) - 1} of its "
                f"{len(feature.names)} classes: {counted(outside)}."
            )
        return [feature.names[value] for value in values]
    return values
