"""Chooses the splits of a dataset by name, cuts a validation split where there is none, and shortens splits."""

from __future__ import annotations

from collections import Counter

import datasets
import numpy as np


# The names in use for each split, best first.
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


def format_rows(count: int) -> str:
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def select_splits(
    found: dict[str, datasets.Dataset], notes: list[str], needs_train: bool = True
) -> dict[str, datasets.Dataset]:
    """
    Gives the splits their standard names, and leaves the others out; `ValueError` where none is left, or no `train` if
    that is needed.
    """
    splits, used = {}, set()
    for standard, names in SPLIT_NAMES.items():
        name = next((name for name in names if name in found), None)
        if name is not None:
            splits[standard] = found[name]
            used.add(name)
            if name != standard:
                notes.append(f"{standard}: the split {name!r}")
    if not splits or (needs_train and "train" not in splits):
        wanted = "'train' split" if needs_train else f"split {' or '.join(map(repr, SPLIT_NAMES))}"
        raise ValueError(f"The dataset has no {wanted}. Its splits are: {', '.join(map(repr, found)) or 'none'}.")
    notes.extend(f"{name}: ignored, {format_rows(len(found[name]))}" for name in found if name not in used)
    return splits


def cut_validation(splits: datasets.DatasetDict, fraction: float, seed: int, notes: list[str]) -> None:
    """Cuts a stratified validation split from the training split, in place."""
    train = splits["train"]
    labels = np.asarray(train.data.column("label"))
    counts = Counter(labels.tolist())
    alone = [row for row, label in enumerate(labels.tolist()) if counts[label] == 1]
    shared = train.select(np.setdiff1d(np.arange(len(train)), alone))
    num_classes, size = len(counts) - len(alone), round(fraction * len(shared))
    if num_classes == 0 or not num_classes <= size <= len(shared) - num_classes:
        raise ValueError(
            f"There is no validation split, and validation_fraction={fraction} would cut {format_rows(size)} from the "
            f"{len(shared):,} training rows of the {num_classes} classes with two rows or more; each of these classes "
            "needs a row on both sides. Change the fraction, or provide more rows or a validation split."
        )
    cut = shared.train_test_split(test_size=size, stratify_by_column="label", seed=seed)
    splits["train"] = cut["train"]
    note = f"validation: {format_rows(size)} cut from train (stratified, seed {seed})"
    if alone:
        splits["train"] = datasets.concatenate_datasets([cut["train"], train.select(alone)])
        note += f"; {format_rows(len(alone))} of classes with one row stayed in train"
    splits["validation"] = cut["test"]
    notes.append(note)


def shorten(splits: datasets.DatasetDict, split: str, max_rows: int | None, seed: int, notes: list[str]) -> None:
    """Keeps a random part of a split, in place. Files may be sorted by label, so the rows are shuffled first."""
    if split not in splits or max_rows is None or len(splits[split]) <= max_rows:
        return
    total = len(splits[split])
    splits[split] = splits[split].shuffle(seed=seed).select(range(max_rows))
    notes.append(f"{split}: {max_rows:,} of {total:,} rows drawn at random (seed {seed})")
