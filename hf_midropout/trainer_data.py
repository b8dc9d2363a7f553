"""What a Trainer trains and validates on, as batches to score and compare with; tried before training begins."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader
from transformers import Trainer

from .inference import (
    LABEL_NAMES,
    Batches,
    FixedBatches,
    LoaderBatches,
    StreamedBatches,
    batches_for,
    frozen_inference,
    split_labels,
    to_device,
)
from .information.checks import IGNORE_INDEX, check_labels
from .midropout_config import MIDropoutConfig


logger = logging.getLogger(__name__)


class UnusableData(ValueError):
    """Rows that cannot be scored or compared with, and why."""


def training_batches(trainer, model, config: MIDropoutConfig, train_dataloader=None) -> Batches:
    """
    Batches of the training rows, in an order that does not depend on the number of processes.

    Args:
        trainer ([`~transformers.Trainer`]): The one that trains.
        model (`nn.Module`): Its model.
        config ([`MIDropoutConfig`]): For `max_samples` and `seed`.
        train_dataloader (`DataLoader`, *optional*): The Trainer's, which is used where its class makes its own.
    """
    if has_own(trainer, "get_train_dataloader") and train_dataloader is not None:
        return loader_batches(trainer, train_dataloader, config.max_samples, config.seed)
    return dataset_batches(trainer, model, trainer.train_dataset, config.max_samples, config.seed)


def validation_batches(trainer, model, config: MIDropoutConfig) -> Batches | None:
    """
    Batches of the validation rows, in their order; `None` if the Trainer has none.

    Raises:
        `ValueError`: if `config.eval_dataset` names none of the Trainer's.
    """
    dataset, name = trainer.eval_dataset, config.eval_dataset
    if isinstance(dataset, dict):
        if name is not None and name not in dataset:
            raise ValueError(f"eval_dataset={name!r}: the Trainer's eval_dataset has {', '.join(map(repr, dataset))}.")
        name = name if name is not None else next(iter(dataset), None)
        dataset = dataset.get(name)
        logger.info("Networks are compared on the eval dataset %r.", name)
    elif name is not None:
        raise ValueError(f"eval_dataset={name!r}: the Trainer's eval_dataset is one dataset, without names.")
    if has_own(trainer, "get_eval_dataloader"):
        try:
            loader = trainer.get_eval_dataloader(*([] if name is None else [name]))
        except Exception as error:
            raise UnusableData(f"get_eval_dataloader() raised {type(error).__name__}: {error}") from error
        return None if loader is None else loader_batches(trainer, loader)
    return None if dataset is None else dataset_batches(trainer, model, dataset)


def has_own(trainer, method: str) -> bool:
    """Whether `trainer` is of a class that overrides `method` of [`~transformers.Trainer`]."""
    return getattr(trainer, method).__func__ is not getattr(Trainer, method)


def label_names(trainer) -> tuple[str, ...]:
    """Keys of a batch under which its labels may be."""
    return tuple(trainer.args.label_names or LABEL_NAMES)


def dataset_batches(trainer, model, dataset, max_samples: int | None = None, seed: int | None = None) -> Batches:
    """Batches of `dataset`, collated as `trainer` does."""
    return batches_for(
        model,
        dataset,
        trainer.args.per_device_eval_batch_size,
        trainer.data_collator,
        remove_unused_columns=trainer.args.remove_unused_columns,
        max_samples=max_samples,
        seed=seed,
        label_names=label_names(trainer),
    )


def loader_batches(trainer, loader, max_samples: int | None = None, seed: int | None = None) -> Batches:
    """
    Batches of the rows behind `loader`, collated as it does. Its sampler is left out: each row counts once, and
    batches are the same for any number of processes. Of what is no DataLoader of rows, the batches that it gives.
    """
    names, size = label_names(trainer), trainer.args.per_device_eval_batch_size
    collates_rows = isinstance(loader, DataLoader) and loader.batch_sampler is not None
    if collates_rows and hasattr(loader.dataset, "__len__"):
        return FixedBatches(loader.dataset, size, loader.collate_fn, None, max_samples, seed, names)
    if isinstance(loader, DataLoader) and loader.batch_size is not None:
        return StreamedBatches(loader.dataset, size, loader.collate_fn, None, max_samples, names)
    return LoaderBatches(loader, max_samples, names)


def check_batches(batches: Batches, model, num_classes: int) -> None:
    """
    Tries the first batch: reads, collates, looks at the labels, and runs `model`. On every process alike.

    Raises:
        [`UnusableData`]: if that fails, or if a column that is cheap to read holds a label that is no class.
    """
    try:
        if isinstance(batches, FixedBatches) and not batches.batches:
            raise ValueError("it has no rows.")
        check_column(batches, num_classes)
        with frozen_inference(model):
            numbered = next(iter(batches.of_process(0, 1)), None)  # the same on every process, and so is the outcome
            if numbered is None:
                raise ValueError("it gives no rows.")
            inputs, labels = split_labels(numbered[1], batches.label_names)
            check_labels(torch.as_tensor(labels), num_classes)
            model(**to_device(inputs, model))
    except UnusableData:
        raise
    except Exception as error:
        said = str(error).strip() or "no message"
        raise UnusableData(said if type(error) is ValueError else f"{type(error).__name__}: {said}") from error


def check_column(batches: Batches, num_classes: int) -> None:
    """`ValueError` if the labels, where a dataset has them in a column, are no classes or all hidden."""
    if not isinstance(batches, FixedBatches):
        return
    dataset = batches.dataset
    columns = getattr(dataset, "column_names", None) or []
    column = next((name for name in batches.label_names if name in columns), None)
    if column is not None:
        check_labelled(torch.as_tensor(dataset.with_format("torch", columns=[column])[column][:]), num_classes)


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
    if hasattr(dataset, "__len__") or dataset is None:
        return
    kept = getattr(dataset, "__dict__", {})
    spent = next((name for name, value in kept.items() if isinstance(value, Iterator)), None)
    if isinstance(dataset, Iterator) or iter(dataset) is iter(dataset) or spent is not None:
        which = f" (its attribute {spent!r} is an iterator)" if spent is not None else ""
        raise ValueError(
            f"The training data, a {type(dataset).__name__}, can be read only once{which}: scoring would use up rows "
            "that training needs. Give a stream whose __iter__ starts anew, such as "
            "datasets.IterableDataset.from_generator(function)."
        )
