"""What a Trainer trains and validates on, as batches to score and compare with."""

from __future__ import annotations

import logging

from torch.utils.data import DataLoader
from transformers import Trainer

from ..pruning.config import MIDropoutConfig
from ..pruning.steps.data_checks import UnusableData, read_only_once
from ..scoring.batches import LABEL_NAMES, Batches, FixedBatches, LoaderBatches, StreamedBatches, batches_for


logger = logging.getLogger(__name__)


def training_batches(trainer, model, config: MIDropoutConfig, train_dataloader=None) -> Batches:
    """
    Batches of the training rows, in an order that does not depend on the number of processes.

    Args:
        trainer ([`~transformers.Trainer`]): The one that trains.
        model (`nn.Module`): Its model.
        config ([`MIDropoutConfig`]): For `score_samples` and `seed`.
        train_dataloader (`DataLoader`, *optional*): The Trainer's, which is used where its class makes its own.
    """
    if has_own(trainer, "get_train_dataloader") and train_dataloader is not None:
        return loader_batches(trainer, train_dataloader, config.score_samples, config.seed)
    return dataset_batches(trainer, model, trainer.train_dataset, config.score_samples, config.seed)


def validation_batches(trainer, model, config: MIDropoutConfig) -> Batches | None:
    """
    Batches of the validation rows, in their order; `None` if the Trainer has none.

    Raises:
        `ValueError`: if `config.eval_dataset` names none of the Trainer's.
        [`UnusableData`]: if the rows can be read only once; the Trainer's own evaluation needs them.
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
        if loader is None:
            return None
        check_not_spent(getattr(loader, "dataset", loader))
        return loader_batches(trainer, loader)
    check_not_spent(dataset)
    return None if dataset is None else dataset_batches(trainer, model, dataset)


def check_not_spent(dataset) -> None:
    """[`UnusableData`] if the rows of `dataset` can be read only once."""
    once = read_only_once(dataset)
    if once:
        raise UnusableData(f"the evaluation data, {once}.")


def has_own(trainer, method: str) -> bool:
    """Whether `trainer`, or its class, has a `method` of its own in place of [`~transformers.Trainer`]'s."""
    return getattr(getattr(trainer, method), "__func__", None) is not getattr(Trainer, method)


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
        num_workers=trainer.args.dataloader_num_workers,
    )


def loader_batches(trainer, loader, max_samples: int | None = None, seed: int | None = None) -> Batches:
    """
    Batches of the rows behind `loader`, collated as it does. Its sampler is left out: each row counts once, and
    batches are the same for any number of processes. Of what is no DataLoader of rows, the batches that it gives.
    """
    names, size = label_names(trainer), trainer.args.per_device_eval_batch_size
    collates_rows = isinstance(loader, DataLoader) and loader.batch_sampler is not None
    if collates_rows and hasattr(loader.dataset, "__len__"):
        return FixedBatches(
            loader.dataset, size, loader.collate_fn, None, max_samples, seed, names, loader.num_workers
        )
    if isinstance(loader, DataLoader) and loader.batch_size is not None:
        return StreamedBatches(loader.dataset, size, loader.collate_fn, None, max_samples, names)
    return LoaderBatches(loader, max_samples, names)
