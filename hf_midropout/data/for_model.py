"""Texts for a classifier that is there already: one split, whose classes are the model's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import datasets
import pyarrow as pa

from ..utils.listing import listed
from .builtin import load_python_docs
from .columns import LABEL_COLUMNS, find_columns, find_texts
from .datasets import BUILTIN_NAME, TextClassificationData
from .files import RawSplits, read_splits
from .labels import check_names, counted, numbered, original_labels
from .missing_labels import find_labelled
from .splits import SPLIT_NAMES, select_splits
from .standardized import columns_told, rows_of, texts_and_labels
from .text_files import TextFileOptions


PREFERRED = ("test", "validation", "train")


@dataclass
class Reading:
    """
    What to read, and how; see [`load_text_classification`].

    Args:
        name (`str`, *optional*): The dataset.
        split (`str`, *optional*): `"train"`, `"validation"` or `"test"`; by default test, or else validation, or else
            train: of a single file all rows.
        subset, text_column, label_column, delimiter, encoding, column_names, label_names: As there.
    """

    name: str | None = None
    split: str | None = None
    subset: str | None = None
    text_column: str | Sequence[str] | None = None
    label_column: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    column_names: list[str] | None = None
    label_names: list[str] | None = None


def load_labelled(reading: Reading, model_names: list[str]) -> TextClassificationData:
    """
    Loads one split with its labels as classes of a model: labels are taken by name, or, where they are integers, by
    number if the model has such names in no other way. The split may lack classes.

    Args:
        reading ([`Reading`]): What to read.
        model_names (`list[str]`): The model's classes, in its order.

    Returns:
        [`TextClassificationData`]: with this split only, and the names of the model.

    Raises:
        `ValueError`: if the data cannot be found or used, or if its labels are no classes of the model.
    """
    raw, split, rows = _read(reading)
    texts, label = find_columns(rows.features, reading.text_column, reading.label_column, raw.column_hint)
    raw.notes += columns_told(texts, label)
    columns, values = texts_and_labels(rows, split, texts, label, raw.notes)
    feature = rows.features[label]
    labelled = find_labelled(values, feature, label, split, raw.notes)
    if labelled is None:
        raise ValueError(f"Split {split!r}: none of its rows has a label in column {label!r}. Name another `split`.")
    columns = [column.filter(pa.array(labelled)) for column in columns]
    labels = original_labels(list(compress(values, labelled)), feature, label, split)
    if reading.label_names is not None:
        check_names(reading.label_names)
        number_of = numbered(reading.label_names, set(labels), feature, label)
        labels = [reading.label_names[number_of[each]] for each in labels]
        feature = datasets.ClassLabel(names=reading.label_names)
    classes = classes_of_model(labels, feature, label, model_names, raw.notes)
    found = rows_of(columns, classes, model_names, split)
    name = BUILTIN_NAME if reading.name is None else reading.name
    return TextClassificationData(name, datasets.DatasetDict({split: found}), model_names, raw.notes, raw.source)


def load_texts(reading: Reading) -> tuple[list[list[str]], str]:
    """
    Loads the texts of one split, all rows of it; no label is needed.

    Returns:
        `tuple[list[list[str]], str]`: one list of texts, or two of pairs, in the order of the rows, where a missing
        text is `""`; and the name of the split.

    Raises:
        `ValueError`: if the data cannot be found, or has no such columns.
    """
    raw, split, rows = _read(reading, texts_only=True)
    labels = [reading.label_column] if reading.label_column else [
        name for name, feature in rows.features.items()
        if name.lower() in LABEL_COLUMNS or isinstance(feature, datasets.ClassLabel)
    ]  # fmt: skip
    columns = find_texts(rows.features, reading.text_column, raw.column_hint, labels)
    return [[text or "" for text in rows[column][:]] for column in columns], split


def _read(reading: Reading, texts_only: bool = False) -> tuple[RawSplits, str, datasets.Dataset]:
    """What was read, the name of the split that is meant, and its rows."""
    options = TextFileOptions(reading.delimiter, reading.encoding, reading.column_names, texts_only)
    if reading.name is None or reading.name == BUILTIN_NAME:
        options.check_applies(BUILTIN_NAME, None)
        raw = RawSplits(dict(load_python_docs()), source="builtin")
    else:
        raw = read_splits(reading.name, reading.subset, options)
    if raw.source == "local" and Path(reading.name or "").is_file():
        if reading.split not in (None, "train"):
            raise ValueError(f"split={reading.split!r}: {reading.name} is a single file; leave the option out.")
        raw.notes = [note for note in raw.notes if not note.startswith("train: all rows")]
        ((_, rows),) = raw.splits.items()
        return raw, "all", rows
    splits = select_splits(raw.splits, [], needs_train=False)
    split = reading.split or next(name for name in PREFERRED if name in splits)
    if split not in splits:
        raise ValueError(f"split={split!r}: the data has {', '.join(splits)} only.")
    used = next(name for name in SPLIT_NAMES[split] if name in raw.splits)
    raw.notes += [f"{split}: the split {used!r}"] * (used != split)
    return raw, split, splits[split]


def classes_of_model(
    labels: Sequence[Hashable], feature: object, column: str, model_names: list[str], notes: list[str]
) -> list[int]:
    """
    The numbers of the classes of a model that `labels` name.

    Args:
        labels (`Sequence`): As [`original_labels`] gives them.
        feature (`object`): The type of their column in `datasets`.
        column (`str`): Its name, for messages.
        model_names (`list[str]`): The model's classes, in its order.
        notes (`list[str]`): Gets a note where labels are taken by number or order rather than by name.

    Raises:
        `ValueError`: for labels that are no classes of the model.
    """
    number_of = {name: number for number, name in enumerate(model_names)}
    present = set(labels)
    if all(str(label) in number_of for label in present):
        return [number_of[str(label)] for label in labels]
    unnamed = all(name.startswith("LABEL_") for name in model_names)
    names = list(feature.names) if isinstance(feature, datasets.ClassLabel) else sorted(present, key=str)
    if all(isinstance(label, int) and 0 <= label < len(model_names) for label in present):
        by_number: dict[Hashable, int] = {label: int(label) for label in present if isinstance(label, int)}
    elif len(names) == len(model_names) and (unnamed or names == [str(place) for place in range(len(names))]):
        by_number = {name: place for place, name in enumerate(names)}
    else:
        unknown = Counter(label for label in labels if str(label) not in number_of)
        raise ValueError(
            f"Column {column!r} has labels that are no classes of the model: {counted(unknown)}. The model's are "
            f"{listed(model_names, repr)}: rename the labels, give integers their names with "
            "`label_names`, or name another column with "
            "`label_column`."
        )
    pairs = [
        f"{label} is {model_names[number]}" for label, number in sorted(by_number.items(), key=lambda pair: pair[1])
    ]
    notes.append(f"labels are taken for the model's classes in their order: {listed(pairs)}")
    return [by_number[label] for label in labels]
