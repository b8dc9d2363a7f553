"""Data that cannot be scored or compared on is found before any compute: a batch is tried."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...information.checks import IGNORE_INDEX, check_labels
from ...scoring.batches import Batches, FixedBatches
from ...scoring.inference import frozen_inference, to_device
from ...scoring.label_checks import classes_in_column, columns_of
from ...scoring.passes import labelled_batches
from ...scoring.problem_types import check_dataset
from ..config import MIDropoutConfig


if TYPE_CHECKING:
    from transformers import PreTrainedModel


logger = logging.getLogger(__name__)


class UnusableData(ValueError):
    """Rows that cannot be scored or compared with, and why."""


def check_training(batches: Batches, model: PreTrainedModel, config: MIDropoutConfig) -> None:
    """
    Raises:
        `ValueError`: if the rows of `batches` cannot be scored.
    """
    if isinstance(batches, FixedBatches):
        check_dataset(batches.dataset, model.config.num_labels, label_names=batches.label_names)
    elif config.score_samples is None:
        raise ValueError("score_samples=None: a stream may not end; give the number of rows to score.")
    try:
        check_batches(batches, model, model.config.num_labels)
    except UnusableData as error:
        raise ValueError(f"The training rows cannot be scored: {error}") from error


def usable_validation(make: Any, model: PreTrainedModel, config: MIDropoutConfig) -> Batches | None:
    """
    The batches that `make()` gives, if networks can be compared on them; else `None`, with a warning, as a training
    would go on without.

    Raises:
        `ValueError`: if the search of the threshold needs them.
    """
    searches = config.searches
    try:
        batches = make()
        if batches is not None:
            check_validation_column(batches, model.config.num_labels)
            check_batches(batches, model, model.config.num_labels)
    except UnusableData as error:
        if searches:
            raise ValueError(
                f"threshold='search' compares networks on validation rows, which cannot be used: {error}"
            ) from error
        warn_without_validation(error)
        return None
    if searches and batches is None:
        raise ValueError("threshold='search' compares networks on validation rows: give an eval_dataset.")
    return batches


def warn_without_validation(error: Exception) -> None:
    """Tells that there will be no comparison on validation rows, and why."""
    logger.warning(
        "The validation rows cannot be used: %s Pruning goes on without; the report will lack metrics and baselines.",
        error,
    )


def check_batches(batches: Batches, model: nn.Module, num_classes: int) -> None:
    """
    Tries the first batch: reads, collates, looks at the labels, and runs `model`. The same on every process, and so is
    the outcome.

    Raises:
        [`UnusableData`]: if that fails.
    """
    try:
        if isinstance(batches, FixedBatches) and not batches.batches:
            raise ValueError("there are no rows.")
        with frozen_inference(model):
            first = next(labelled_batches(batches), None)
            if first is None:
                raise ValueError("there are no rows.")
            check_labels(torch.as_tensor(first.labels), num_classes)
            check_logits(model, getattr(model(**to_device(first.inputs, model)), "logits", None), num_classes)
    except Exception as error:
        said = str(error).strip() or "no message"
        raise UnusableData(said if type(error) is ValueError else f"{type(error).__name__}: {said}") from error


def check_logits(model: nn.Module, logits: torch.Tensor | None, num_classes: int) -> None:
    """`ValueError` for `logits` of other rows than texts, or of other classes."""
    given = "no logits" if logits is None else f"logits of shape {tuple(logits.shape)}"
    if logits is None or logits.ndim != 2 or logits.shape[1] != num_classes:
        raise ValueError(
            f"{type(model).__name__} gives {given}; must be a sequence classifier, with {num_classes} for each text."
        )


def check_validation_column(batches: Batches, num_classes: int) -> None:
    """[`UnusableData`] if the labels, where a dataset has them in a column, are no classes or all hidden."""
    if not isinstance(batches, FixedBatches) or not len(batches.dataset):
        return
    columns = columns_of(batches.dataset)
    column = next((name for name in batches.label_names if name in columns), None)
    try:
        if column is not None and not classes_in_column(batches.dataset, column, num_classes):
            raise ValueError(f"all {len(batches.dataset):,} labels in column {column!r} are {IGNORE_INDEX}.")
    except ValueError as error:
        raise UnusableData(str(error)) from error


def check_labelled(labels: torch.Tensor, num_classes: int) -> None:
    """`ValueError` if `[N]` labels are no classes, or all -100."""
    check_labels(labels, num_classes)
    if not (labels != IGNORE_INDEX).any():
        raise ValueError(f"all {len(labels):,} labels are {IGNORE_INDEX}.")


def check_can_be_read_again(dataset: Any) -> None:
    """
    Scores are taken in the middle of training, from the beginning of the data.

    Raises:
        `ValueError`: for a stream that can be read only once: scoring would take its rows away from training.
    """
    once = read_only_once(dataset)
    if once:
        raise ValueError(
            f"The training data, {once}: scoring would use up rows that training needs. Give a stream whose __iter__ "
            "starts anew, such as datasets.IterableDataset.from_generator(function)."
        )


def read_only_once(dataset: Any) -> str | None:
    """What about `dataset` shows that its rows can be read only once; `None` if nothing does."""
    if hasattr(dataset, "__len__") or dataset is None:
        return None
    kept = getattr(dataset, "__dict__", {})
    spent = next((name for name, value in kept.items() if isinstance(value, Iterator)), None)
    if isinstance(dataset, Iterator) or iter(dataset) is iter(dataset) or spent is not None:
        which = f" (its attribute {spent!r} is an iterator)" if spent is not None else ""
        return f"a {type(dataset).__name__}, can be read only once{which}"
    return None
