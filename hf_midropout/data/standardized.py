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


def _texts_and_labels(
    dataset: datasets.Dataset, split: str, text: str, label: str, notes: list[str]
) -> tuple[pa.ChunkedArray, list]:
    """Returns the texts and the label values of the rows that have a text."""
    if len(dataset) == 0:
        raise ValueError(f"Split {split!r} is empty.")
    table = dataset.select_columns([text, label]).with_format("arrow")[:]
    try:
        texts = table[text].cast(pa.string())
        has_text = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(texts), ""), False)
    except pa.ArrowInvalid as error:
        if "UTF8" not in str(error):
            raise
        raise ValueError(
            f"Split {split!r} has bytes in column {text!r} that are not UTF-8. Of csv, tsv and json files give "
            "`encoding`, such as latin-1."
        ) from error
    table = table.set_column(table.column_names.index(text), text, texts).filter(has_text)
    dropped = len(dataset) - len(table)
    if len(table) == 0:
        raise ValueError(
            f"Split {split!r} is empty: all of its {format_rows(dropped)} have an empty text in {text!r}."
        )
    if dropped:
        notes.append(f"{split}: {format_rows(dropped)} with empty text dropped")
    try:
        return table[text], table[label].to_pylist()
    except UnicodeDecodeError as error:
        raise ValueError(f"Split {split!r} has bytes in column {label!r} that are not UTF-8.") from error


def standardized(
    found: dict[str, datasets.Dataset],
    text_column: str | None,
    label_column: str | None,
    notes: list[str],
    column_hint: str,
) -> datasets.DatasetDict:
    """Brings every split to the columns `text` and `label`, with the classes of the training split."""
    text, label = find_columns(found["train"].features, text_column, label_column, column_hint)
    if (text, label) != ("text", "label"):
        notes.append(f"text is the column {text!r}, label the column {label!r}")
    encoder, splits = None, datasets.DatasetDict()
    for split, dataset in found.items():
        absent = [column for column in (text, label) if column not in dataset.column_names]
        if absent:
            notes.append(f"{split}: left out, it has no column {absent[0]!r}")
            continue
        texts, values = _texts_and_labels(dataset, split, text, label, notes)
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
            texts, values = texts.filter(pa.array(labelled)), list(compress(values, labelled))
        labels: Sequence = original_labels(values, feature, label, split)
        if encoder is None:
            encoder = LabelEncoder.fit(label, feature, labels)
            moved = {value: index for value, index in encoder.indices.items() if isinstance(value, int)}
            if any(value != index for value, index in moved.items()):
                old, new = listed(moved), listed(moved.values())
                notes.append(f"labels {old} are mapped to {new}; their names are the original values")
        elif not isinstance(feature, datasets.ClassLabel):
            labels = encoder.as_in_train(labels, split, notes)
        features = datasets.Features(
            {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=encoder.names)}
        )
        columns = {"text": texts, "label": pa.array(encoder.encode(labels, split), pa.int64())}
        splits[split] = datasets.Dataset.from_dict(columns, features=features, split=datasets.NamedSplit(split))
    return splits
