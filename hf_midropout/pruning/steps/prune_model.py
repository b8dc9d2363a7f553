"""Scores, decides and drops: with or without a Trainer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ...groups.sharding import full_module
from ...scoring.batches import Batches, batches_for
from ...scoring.checks import check_device
from ...scoring.neurons import score_neurons
from ...scoring.problem_types import find_problem_type
from ...scoring.scores import NeuronScores
from ..config import MIDropoutConfig
from ..encoder.checks import check_encoder
from ..head.apply import is_pruned
from ..head.checks import check_head
from ..record.result import PruningResult
from ..selection import Selection
from .data_checks import check_training, usable_validation
from .encoder import measured_metrics, prune_encoder_once
from .head import head_inputs, prune_head, refresh_information


if TYPE_CHECKING:
    from transformers import PreTrainedModel


def prune(
    model: nn.Module,
    train,
    validation=None,
    config: MIDropoutConfig | dict[str, Any] | None = None,
    *,
    processing_class=None,
    collate_fn: Callable[[list], dict[str, Any]] | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> PruningResult:
    """
    Scores the neurons of a trained classifier, drops those that `config` does not keep, and refits the weights that
    read the others. The model is changed in place: neurons of the encoder (`targets="encoder"`) are gone, and what
    `save_pretrained` writes loads with transformers' own class, unless `scope="global"` gave its layers different
    widths: then its class is from now on one of this package, such as `UnevenBertForSequenceClassification`. Neurons
    of a MI-Dropout head (`"head"`) are 0, and `model.compact()` removes them.

    Args:
        model ([`~transformers.PreTrainedModel`]): A trained classifier: for its encoder, of any architecture in
            `groups/architectures.py`; for its head, a MI-Dropout one such as
            [`MIDropoutBertForSequenceClassification`].
        train (`datasets.Dataset` or `torch.utils.data.Dataset`): Labelled rows to score with; as in [`score_neurons`].
        validation (`datasets.Dataset` or `torch.utils.data.Dataset`, *optional*): Labelled rows to compare networks
            on: for `threshold="search"`, and for the metrics and baselines of the result.
        config ([`MIDropoutConfig`], *optional*): What to drop. Fields that concern a training are refused.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*): Tokenizer to pad with.
        collate_fn (`Callable`, *optional*): Makes a batch of a list of rows; by default as the Trainer does.
        batch_size (`int`, *optional*, defaults to 32): Rows in a batch, per process.
        progress (`bool`, *optional*, defaults to `True`): Shows progress bars.

    Returns:
        [`PruningResult`]: scores, the neurons kept, metrics before and after, baselines at the same budget.

    Raises:
        `ValueError`: for a configuration that does not fit the model or the data, before any compute.

    Example:

    ```python
    result = prune(model, data["train"], data["validation"], MIDropoutConfig(keep=0.25), processing_class=tokenizer)
    small = model.compact()
    ```
    """
    config = MIDropoutConfig(**config) if isinstance(config, dict) else config or MIDropoutConfig()
    if config.pruning_steps > 1:
        raise ValueError(f"pruning_steps={config.pruning_steps}: without training in between there is one.")
    for name, value in config.of_training().items():
        raise ValueError(f"{name}={value!r} has no effect without a training: leave it out, or use MIDropoutCallback.")
    check_prunable(model, config)
    if config.targets != "encoder" and is_pruned(model):
        raise ValueError("The model already has dropped neurons: start from its compact() form.")

    def batches(dataset, **options) -> Batches:
        if isinstance(dataset, Batches):
            return dataset
        return batches_for(model, dataset, batch_size, collate_fn, processing_class, **options)

    training = batches(train, max_samples=config.score_samples, seed=config.seed)
    check_training(training, model, config)
    compared = usable_validation(lambda: None if validation is None else batches(validation), model, config)
    return prune_once(model, training, compared, config, config.keep_schedule[0], progress=progress)


def check_prunable(model: PreTrainedModel, config: MIDropoutConfig) -> None:
    """
    Raises:
        `ValueError`: for a model whose neurons cannot be dropped, or a `config` that does not fit it.
    """
    check_device(model)
    if config.targets != "encoder":
        check_head(model)
    if config.targets != "head":
        check_encoder(model, config.scope)
    config.check_classes(model.config.num_labels)
    problem_type = find_problem_type(model.config)
    if problem_type != "single_label_classification":
        raise ValueError(
            f"problem_type={problem_type!r}: networks are compared by accuracy, so neurons are dropped for "
            "'single_label_classification' only; score_neurons scores the others."
        )
    if next(model.parameters()).dtype == torch.float16:
        raise ValueError(
            "The model's weights are float16, in which optimizers diverge: load it with dtype=torch.float32 (and "
            "train with bf16=True or fp16=True for speed)."
        )


def prune_once(
    model: PreTrainedModel,
    training: Batches,
    validation: Batches | None,
    config: MIDropoutConfig,
    keep: float | None,
    *,
    step: int = 0,
    optimizer=None,
    previous: Selection | None = None,
    progress: bool = True,
) -> PruningResult:
    """
    One pruning step of what `config.targets` names, on every process: as [`prune_head`], [`prune_encoder_once`], or
    one after the other.
    """
    head = partial(
        prune_head, model, training, validation, config, keep, step=step, optimizer=optimizer, progress=progress
    )
    if config.targets == "head":
        return head()
    kept = {name: mask for name, mask in (previous.kept if previous else {}).items() if name.startswith("encoder.")}
    encoder = prune_encoder_once(
        model, training, validation, config, keep,
        step=step, optimizer=optimizer, previous=Selection(kept, {}) if kept else None, progress=progress,
    )  # fmt: skip
    if config.targets == "encoder":
        refresh_information(model, training, progress)  # pruning a head does so by itself
        return encoder
    return joined(encoder, head(), previous)


def joined(encoder: PruningResult, head: PruningResult, previous: Selection | None = None) -> PruningResult:
    """The steps of an encoder and, right after it, of a head, as one; what refused stays as `previous` left it."""
    selections = [each.selection for each in (encoder, head) if each.selection]
    selection = None
    if selections:
        every = {name: torch.ones(len(bits), dtype=torch.bool) for name, bits in head.scores.bits.items()}
        every |= {name: torch.ones(len(bits), dtype=torch.bool) for name, bits in encoder.scores.bits.items()}
        threshold = dict.fromkeys(every, 0.0)
        for each in [previous, *selections] if previous else selections:
            every |= each.kept
            threshold |= each.threshold
        selection = Selection({name: every[name] for name in [*encoder.scores.layers, *head.scores.layers]}, threshold)
    validation = {**head.validation, **encoder.validation}
    if "after_pruning" in head.validation:
        validation["after_pruning"] = head.validation["after_pruning"]
    refused = [each.refused for each in (encoder, head) if each.refused]
    return PruningResult(
        step=encoder.step,
        scores=replace(encoder.scores, layers={**encoder.scores.layers, **head.scores.layers}),
        selection=selection,
        refused=" ".join(refused) or None,
        sweep=encoder.sweep or head.sweep,
        baselines=encoder.baselines or head.baselines,
        validation=validation,
        seconds={name: encoder.seconds.get(name, 0.0) + head.seconds.get(name, 0.0) for name in encoder.seconds},
    )


def score_again(
    model: PreTrainedModel, training: Batches, config: MIDropoutConfig, selection: Selection | None, progress: bool
) -> NeuronScores:
    """Scores of the neurons that `config.targets` names, at 0 bits for those that `selection` dropped."""
    scores = score_neurons(model, training, targets=config.targets, progress=progress)
    if selection is None or config.targets == "head":
        return scores
    return scores.widened({name: mask for name, mask in selection.kept.items() if name.startswith("encoder.")})


def validation_metrics(
    model: PreTrainedModel, validation: Batches | None, config: MIDropoutConfig, progress: bool
) -> dict[str, float] | None:
    """Metrics of `model` on validation rows, on every process; `None` without any that can be read."""
    if config.targets == "encoder":
        return measured_metrics(model, validation)
    inputs = head_inputs(model, validation, progress)
    return inputs.metrics(full_module(model.classifier, model.config)) if inputs is not None else None
