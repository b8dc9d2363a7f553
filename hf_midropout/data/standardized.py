"""Brings splits of any dataset to the columns `text` and `label`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress

import datasets
import pyarrow as pa
import pyarrow.compute as pc

from ..utils.listing import listed
from .columns import find_columns
from .labels import LabelEncoder, original_labels
from .missing_labels import find_labelled
from .splits import format_rows


TEXTS = ("text", "text_pair")
"""Names that the columns of a text, or of a pair of texts, are given: the tokenizer's own."""


def texts_and_labels(
    dataset: datasets.Dataset, split: str, columns: list[str], label: str, notes: list[str]
) -> tuple[list[pa.ChunkedArray], list]:
    """Returns the texts, by column, and the label values of the rows that have a text in each of `columns`."""
    if len(dataset) == 0:
        raise ValueError(f"Split {split!r} is empty.")
    table = dataset.select_columns([*columns, label]).with_format("arrow")[:]
    has_text = None
    for column in columns:
        try:
            texts = table[column].cast(pa.string())
            filled = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(texts), ""), False)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise
            raise ValueError(
                f"Split {split!r} has bytes in column {column!r} that are not UTF-8. Of csv, tsv and json files give "
                "`encoding`, such as latin-1."
            ) from error
        table = table.set_column(table.column_names.index(column), column, texts)
        has_text = filled if has_text is None else pc.and_(has_text, filled)
    table = table.filter(has_text)
    dropped = len(dataset) - len(table)
    if len(table) == 0:
        where = " or ".join(map(repr, columns))
        raise ValueError(f"Split {split!r} is empty: all of its {format_rows(dropped)} have an empty text in {where}.")
    if dropped:
        notes.append(f"{split}: {format_rows(dropped)} with empty text dropped")
    try:
        return [table[column] for column in columns], table[label].to_pylist()
    except UnicodeDecodeError as error:
        raise ValueError(f"Split {split!r} has bytes in column {label!r} that are not UTF-8.") from error


def columns_told(texts: list[str], label: str) -> list[str]:
    """What to say of the columns that were taken, if they have other names than ours."""
    if len(texts) == 2:
        return [f"pairs of texts in the columns {texts[0]!r} and {texts[1]!r}, label in {label!r}"]
    return (
        [f"text is the column {texts[0]!r}, label the column {label!r}"]
        if (texts, label) != (["text"], "label")
        else []
    )


def standardized(
    found: dict[str, datasets.Dataset],
    text_column: str | Sequence[str] | None,
    label_column: str | None,
    notes: list[str],
    column_hint: str,
    label_names: list[str] | None = None,
) -> datasets.DatasetDict:
    """
    Brings every split to the columns `text`, of pairs also `text_pair`, and `label`, with the classes of the first
    one, that of training if there is one, which `label_names` name, if given, where they are integers.
    """
    text_columns, label = find_columns(next(iter(found.values())).features, text_column, label_column, column_hint)
    notes += columns_told(text_columns, label)
    encoder, splits = None, datasets.DatasetDict()
    for split, dataset in found.items():
        absent = [column for column in (*text_columns, label) if column not in dataset.column_names]
        if absent:
            notes.append(f"{split}: left out, it has no column {absent[0]!r}")
            continue
        texts, values = texts_and_labels(dataset, split, text_columns, label, notes)
        feature = dataset.features[label]
        labelled = find_labelled(values, feature, label, split, notes)
        if labelled is None:
            shown = values[0] if isinstance(values[0], int) and len(set(values)) == 1 else "missing"
            hidden = f"all of its labels are {shown}"
            if split == "train":
                raise ValueError(
                    f"Split 'train' cannot be used: {hidden} (column {label!r}, {format_rows(len(values))})."
                )
            notes.append(f"{split}: left out, {hidden}")
            continue
        if not all(labelled):
            texts = [column.filter(pa.array(labelled)) for column in texts]
            values = list(compress(values, labelled))
        labels: Sequence = original_labels(values, feature, label, split)
        if encoder is None:
            encoder = LabelEncoder.fit(label, feature, labels, label_names)
            moved = {value: index for value, index in encoder.indices.items() if isinstance(value, int)}
            if label_names is not None:
                pairs = [f"{value} is {encoder.names[index]}" for value, index in encoder.indices.items()]
                notes.append(f"labels are named as told: {listed(pairs)}")
            elif any(value != index for value, index in moved.items()):
                old, new = listed(moved), listed(moved.values())
                notes.append(f"labels {old} are mapped to {new}; their names are the original values")
        elif not isinstance(feature, datasets.ClassLabel):
            labels = encoder.as_in_train(labels, split, notes)
        splits[split] = rows_of(texts, encoder.encode(labels, split), encoder.names, split)
    return splits


def rows_of(texts: list[pa.ChunkedArray], labels: list[int], names: list[str], split: str) -> datasets.Dataset:
    """A split of these columns of texts, and of classes with these names."""
    columns = dict(zip(TEXTS, texts, strict=False))
    features = datasets.Features(
        {**{name: datasets.Value("string") for name in columns}, "label": datasets.ClassLabel(names=names)}
    )
    columns |= {"label": pa.array(labels, pa.int64())}
    return datasets.Dataset.from_dict(columns, features=features, split=datasets.NamedSplit(split))
