"""Loads text classification data from the Hub, from files or from Python's documentation, and checks it."""

from __future__ import annotations

import logging
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

import datasets
import numpy as np

from ..utils.listing import listed
from .builtin import load_python_docs
from .files import RawSplits, read_splits
from .labels import check_names
from .splits import SPLIT_NAMES, cut_validation, select_splits, shorten
from .standardized import TEXTS, standardized
from .text_files import TextFileOptions
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
            `train`, `validation`, and `test` where there is one, with the columns `text` (`string`), of pairs of texts
            also `text_pair` (`string`), and `label` (`ClassLabel`).
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

    @property
    def paired(self) -> bool:
        """Whether a row is a pair of texts."""
        return any("text_pair" in rows.column_names for rows in self.splits.values())

    def texts(self, split: str) -> list[str]:
        """All texts of a split, the first ones of pairs before the second ones."""
        return [text for name in TEXTS[: 1 + self.paired] for text in self.splits[split][name][:]]

    def tokenize(self, tokenizer, max_length: int | None, names: Sequence[str] | None = None) -> datasets.DatasetDict:
        """Splits as a Trainer takes them: token ids cut to `max_length`, and `labels`. Of these `names`, or all."""
        splits = datasets.DatasetDict({name: self.splits[name] for name in names or self.splits})
        local = works_word_by_word(tokenizer)
        return splits.map(
            lambda batch: tokenize_texts(
                tokenizer, batch["text"], max_length, local, pairs=batch["text_pair"] if self.paired else None
            ),
            batched=True,
            remove_columns=list(TEXTS[: 1 + self.paired]),
            desc="Tokenizing",
        ).rename_column("label", "labels")


def load_text_classification(
    name: str | None = None,
    *,
    subset: str | None = None,
    text_column: str | Sequence[str] | None = None,
    label_column: str | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    column_names: list[str] | None = None,
    label_names: list[str] | None = None,
    validation_fraction: float = 0.1,
    max_train_samples: int | None = None,
    max_eval_samples: int | None = None,
    seed: int = 42,
    needs_train: bool = True,
) -> TextClassificationData:
    """
    Loads and checks a text classification dataset.

    Labels are integers, strings, booleans or a `ClassLabel`; whole numbers that are stored as floats, as pandas does
    where some are missing, are taken as integers. Rows without a text are dropped, and so are rows without a label
    (empty, -100, or -1 in a `ClassLabel`) as long as they are not more than half; a note says how many. A split of
    which no row has a label is left out.

    Args:
        name (`str`, *optional*, defaults to `"python-docs"`):
            A `save_to_disk` folder; a folder of parquet, csv, tsv, json or jsonl files named after splits, or in
            folders named so; one such file; a Hub dataset id; or `"python-docs"`, see
            [`~hf_midropout.data.builtin.load_python_docs`].
        subset (`str`, *optional*):
            The configuration of a Hub dataset.
        text_column (`str` or `Sequence[str]`, *optional*):
            The text column, or the two of pairs of texts. Found by name and type where not given.
        label_column (`str`, *optional*):
            The label column. Found by name and type where not given.
        delimiter, encoding, column_names (*optional*):
            How csv, tsv and json files are to be read, see [`~hf_midropout.data.text_files.TextFileOptions`].
        label_names (`list[str]`, *optional*):
            Names for classes that are integers in the data: of 0, 1, ..., or of others in their order. The integers
            themselves are the names where not given.
        validation_fraction (`float`, *optional*, defaults to 0.1):
            The fraction of the training rows to cut for validation where the dataset has no validation split.
        max_train_samples (`int`, *optional*):
            The most training rows to keep, drawn at random.
        max_eval_samples (`int`, *optional*):
            The most rows to keep of the validation and of the test split, drawn at random.
        seed (`int`, *optional*, defaults to 42):
            Decides which rows are cut and drawn. The splits of `"python-docs"` do not depend on it.
        needs_train (`bool`, *optional*, defaults to `True`):
            Refuse data without a training split. If not, of such data no validation split is cut.

    Returns:
        `TextClassificationData`: The splits, the names of the classes, and notes on what was done.

    Raises:
        `ValueError`: If the data cannot be found or used as it is; the message names the value and what is allowed.
        `RuntimeError`: If `"python-docs"` is asked for, and the standard library's sources are not installed.
    """
    if not 0 < validation_fraction < 1:
        raise ValueError(f"validation_fraction={validation_fraction} must be greater than 0 and less than 1.")
    if max_train_samples is not None and max_train_samples < 2:
        raise ValueError(
            f"max_train_samples={max_train_samples} must be at least 2, as there are two classes or more."
        )
    if max_eval_samples is not None and max_eval_samples < 1:
        raise ValueError(f"max_eval_samples={max_eval_samples} must be at least 1.")

    check_names(label_names)
    options = TextFileOptions(delimiter, encoding, column_names)
    if name is None or name == BUILTIN_NAME:
        if subset is not None:
            raise ValueError(f"subset={subset!r} is for Hub datasets; {BUILTIN_NAME!r} has none.")
        if label_names is not None:
            raise ValueError(f"label_names={label_names}: the classes of {BUILTIN_NAME!r} have names.")
        options.check_applies(BUILTIN_NAME, None)
        # Always the same splits, so that runs with different seeds can be compared.
        name = BUILTIN_NAME
        notes = [f"documentation of the standard library of Python {platform.python_version()}"]
        raw = RawSplits(dict(load_python_docs()), notes, "builtin")
    else:
        raw = read_splits(name, subset, options)
        notes = raw.notes

    found = select_splits(raw.splits, notes, needs_train)
    splits = standardized(found, text_column, label_column, notes, raw.column_hint, label_names)
    if not splits:
        raise ValueError(f"No split of {name} can be used: {'; '.join(notes)}.")
    first = next(iter(splits))
    label_names = splits[first].features["label"].names
    if "train" in splits and "validation" not in splits:
        cut_validation(splits, validation_fraction, seed, notes)
    shorten(splits, "train", max_train_samples, seed, notes)
    shorten(splits, "validation", max_eval_samples, seed, notes)
    shorten(splits, "test", max_eval_samples, seed, notes)

    labels = splits[first].select_columns("label").with_format("numpy")[:]["label"]
    assert label_names is not None
    present = {label_names[index] for index in np.unique(labels)}
    if len(present) < 2:
        raise ValueError(
            f"With max_train_samples={max_train_samples} only the class {present.pop()!r} is left in train."
        )
    absent = [label for label in label_names if label not in present]
    if absent:
        notes.append(f"{first}: no rows of the classes {listed(absent, repr)}")

    for note in notes:
        logger.info("%s: %s", name, note)
    order = [split for split in SPLIT_NAMES if split in splits]
    ordered = datasets.DatasetDict({split: splits[split] for split in order})
    return TextClassificationData(name, ordered, label_names, notes, raw.source)
