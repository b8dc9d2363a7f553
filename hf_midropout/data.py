"""Loads text classification data from the Hub, from files or from Python's documentation, and checks it."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import compress

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .builtin_data import load_python_docs
from .data_files import RawSplits, read_splits
from .data_labels import LabelEncoder, find_columns, original_labels
from .data_missing_labels import find_labelled
from .data_splits import SPLIT_NAMES, cut_validation, format_rows, select_splits, shorten
from .data_text_files import TextFileOptions
from .listing import listed
from .tokenizing import tokenize_texts, works_word_by_word


logger = logging.getLogger(__name__)

BUILTIN_NAME = "python-docs"


@dataclass
class TextClassificationData:
    """
    Text classification data that is ready to tokenize.

    Args:
        name (`str`):
            What was asked for: a Hub id, a local path, or `"python-docs"`.
        splits (`datasets.DatasetDict`):
            `train`, `validation`, and `test` where there is one, with the columns `text` (`string`) and `label`
            (`ClassLabel`).
        label_names (`list[str]`):
            The names of the classes, in the order of their indices.
        notes (`list[str]`):
            What was done to the data, a sentence each.
        source (`str`):
            How it was loaded: `"hub"`, `"local"` or `"builtin"`. The name does not say: `data/reviews` may be either
            of the first two.
    """

    name: str
    splits: datasets.DatasetDict
    label_names: list[str]
    notes: list[str] = field(default_factory=list)
    source: str = "local"

    def tokenize(self, tokenizer, max_length: int | None, names: Sequence[str] | None = None) -> datasets.DatasetDict:
        """Splits as a Trainer takes them: token ids cut to `max_length`, and `labels`. Of these `names`, or all."""
        splits = datasets.DatasetDict({name: self.splits[name] for name in names or self.splits})
        local = works_word_by_word(tokenizer)
        return splits.map(
            lambda batch: tokenize_texts(tokenizer, batch["text"], max_length, local),
            batched=True,
            remove_columns="text",
            desc="Tokenizing",
        ).rename_column("label", "labels")


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


def _standardize(
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


def load_text_classification(
    name: str | None = None,
    *,
    subset: str | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    column_names: list[str] | None = None,
    validation_fraction: float = 0.1,
    max_train_rows: int | None = None,
    max_eval_rows: int | None = None,
    seed: int = 42,
) -> TextClassificationData:
    """
    Loads and checks a text classification dataset.

    Labels are integers, strings, booleans or a `ClassLabel`; whole numbers that are stored as floats, as pandas does
    where some are missing, are taken as integers. Rows without a text are dropped, and so are rows without a label
    (empty, -100, or -1 in a `ClassLabel`) as long as they are not more than half; a note says how many. A split of
    which no row has a label is left out.

    Args:
        name (`str`, *optional*, defaults to `"python-docs"`):
            A `save_to_disk` folder; a folder of parquet, csv, tsv, json or jsonl files named after splits; one such
            file; a Hub dataset id; or `"python-docs"`, see [`~builtin_data.load_python_docs`].
        subset (`str`, *optional*):
            The configuration of a Hub dataset.
        text_column (`str`, *optional*):
            The text column. Found by name and type where not given.
        label_column (`str`, *optional*):
            The label column. Found by name and type where not given.
        delimiter, encoding, column_names (*optional*):
            How csv, tsv and json files are to be read, see [`~data_text_files.TextFileOptions`].
        validation_fraction (`float`, *optional*, defaults to 0.1):
            The fraction of the training rows to cut for validation where the dataset has no validation split.
        max_train_rows (`int`, *optional*):
            The most training rows to keep, drawn at random.
        max_eval_rows (`int`, *optional*):
            The most rows to keep of the validation and of the test split, drawn at random.
        seed (`int`, *optional*, defaults to 42):
            Decides which rows are cut and drawn. The splits of `"python-docs"` do not depend on it.

    Returns:
        `TextClassificationData`: The splits, the names of the classes, and notes on what was done.

    Raises:
        `ValueError`: If the data cannot be found or used as it is; the message names the value and what is allowed.
        `RuntimeError`: If `"python-docs"` is asked for, and the standard library's sources are not installed.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction={validation_fraction} must be greater than 0 and less than 1.")
    if max_train_rows is not None and max_train_rows < 2:
        raise ValueError(f"max_train_rows={max_train_rows} must be at least 2, as there are two classes or more.")
    if max_eval_rows is not None and max_eval_rows < 1:
        raise ValueError(f"max_eval_rows={max_eval_rows} must be at least 1.")

    options = TextFileOptions(delimiter, encoding, column_names)
    if name is None or name == BUILTIN_NAME:
        if subset is not None:
            raise ValueError(f"subset={subset!r} is for Hub datasets; {BUILTIN_NAME!r} has none.")
        options.check_applies(BUILTIN_NAME, None)
        # Always the same splits, so that runs with different seeds can be compared.
        name = BUILTIN_NAME
        notes = [f"documentation of the standard library of Python {platform.python_version()}"]
        raw = RawSplits(dict(load_python_docs()), notes, "builtin")
    else:
        raw = read_splits(name, subset, options)
        notes = raw.notes

    splits = _standardize(select_splits(raw.splits, notes), text_column, label_column, notes, raw.column_hint)
    label_names = splits["train"].features["label"].names
    if "validation" not in splits:
        cut_validation(splits, validation_fraction, seed, notes)
    shorten(splits, "train", max_train_rows, seed, notes)
    shorten(splits, "validation", max_eval_rows, seed, notes)
    shorten(splits, "test", max_eval_rows, seed, notes)

    train_labels = splits["train"].select_columns("label").with_format("numpy")[:]["label"]
    present = {label_names[index] for index in np.unique(train_labels)}
    if len(present) < 2:
        raise ValueError(f"With max_train_rows={max_train_rows} only the class {present.pop()!r} is left in train.")
    absent = [label for label in label_names if label not in present]
    if absent:
        notes.append(f"train: no rows of the classes {listed(absent, repr)}")

    for note in notes:
        logger.info("%s: %s", name, note)
    order = [split for split in SPLIT_NAMES if split in splits]
    ordered = datasets.DatasetDict({split: splits[split] for split in order})
    return TextClassificationData(name, ordered, label_names, notes, raw.source)
