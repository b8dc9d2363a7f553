"""Scores, decides and drops: with or without a Trainer."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState
from torch import nn

from ..groups.sharding import full_module
from ..scoring.inference import Batches, batches_for, frozen_inference
from ..scoring.neurons import score_neurons
from ..scoring.problem_types import find_problem_type
from .apply import act, is_pruned
from .config import MIDropoutConfig
from .data_checks import check_labelled, check_training, usable_validation, warn_without_validation
from .decision import Decision, decide_once
from .evidence import Evidence
from .head import HeadNetwork
from .head_checks import check_head
from .head_evaluation import HeadInputCollector, HeadInputs, collect_head_inputs
from .record import PruningStep


if TYPE_CHECKING:
    from transformers import PreTrainedModel


HEAD_ROWS = 10_000
"""Training rows whose head inputs are kept for criteria and refits: beyond that, scores go on at constant memory."""

logger = logging.getLogger(__name__)


def prune(
    model: nn.Module,
    train,
    validation=None,
    config: MIDropoutConfig | None = None,
    *,
    processing_class=None,
    collate_fn: Callable[[list], dict[str, Any]] | None = None,
    batch_size: int = 32,
    progress: bool = True,
) -> PruningStep:
    """
    Scores the neurons of a trained classifier, drops those that `config` does not keep, and refits the weights that
    read the others. The model is changed in place: dropped neurons are 0, and `model.compact()` removes them.

    Args:
        model ([`MIDropoutAlbertForSequenceClassification`]): A trained classifier.
        train (`datasets.Dataset` or `torch.utils.data.Dataset`): Labelled rows to score with; as in [`score_neurons`].
        validation (`datasets.Dataset` or `torch.utils.data.Dataset`, *optional*): Labelled rows to compare networks
            on: for `threshold="search"`, and for the metrics and baselines of the result.
        config ([`MIDropoutConfig`], *optional*): What to drop. `start` and `rewind_learning_rate` play no role.
        processing_class ([`~transformers.PreTrainedTokenizerBase`], *optional*): Tokenizer to pad with.
        collate_fn (`Callable`, *optional*): Makes a batch of a list of rows; by default as the Trainer does.
        batch_size (`int`, *optional*, defaults to 32): Rows in a batch, per process.
        progress (`bool`, *optional*, defaults to `True`): Shows progress bars.

    Returns:
        [`PruningStep`]: scores, the neurons kept, metrics before and after, baselines at the same budget.

    Raises:
        `ValueError`: for a configuration that does not fit the model or the data, before any compute.

    Example:

    ```python
    result = prune(model, data["train"], data["validation"], MIDropoutConfig(keep=0.25), processing_class=tokenizer)
    small = model.compact()
    ```
    """
    config = config or MIDropoutConfig()
    if config.pruning_steps > 1:
        raise ValueError(f"pruning_steps={config.pruning_steps}: without training in between there is one.")
    check_prunable(model, config)
    if is_pruned(model):
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
    check_head(model)
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
    progress: bool = True,
) -> PruningStep:
    """
    One pruning step, on every process.

    Args:
        model (`nn.Module`): With a MI-Dropout head, as the Trainer has it: sharded or not.
        training, validation (`Batches`): Rows to score with and to compare on.
        config ([`MIDropoutConfig`]): What was asked for.
        keep (`float`, *optional*): The fraction of all neurons that this step leaves; `None` for a threshold.
        step (`int`, *optional*, defaults to 0): Optimizer step after which it happens.
        optimizer (`torch.optim.Optimizer`, *optional*): Forgets what it remembers of weights that are drawn anew.
        progress (`bool`, *optional*, defaults to `True`): Shows progress bars.
    """
    started = time.perf_counter()
    collector = HeadInputCollector(model, max_batches=-(-HEAD_ROWS // getattr(training, "batch_size", 1)))
    with collector:
        scores = score_neurons(model, training, progress=progress, observe=collector.observe)
    result = PruningStep(step, scores)
    inputs, compared = collector.gather(), head_inputs(model, validation, progress)
    head = full_module(model.classifier, model.config)
    if compared is not None:
        result.validation = {"rows": len(compared.labels), "before_pruning": compared.metrics(head)}
    if config.action != "none":
        if compared is None and config.searches:
            decision = Decision(refused="threshold='search' needs validation rows, which could not be read.")
        else:
            with frozen_inference(model):
                evidence = Evidence(scores, HeadNetwork(head), inputs, config.seed)
                decision = decide_once(config, evidence, compared, keep)
        result.refused, result.baselines, result.selection = decision.refused, decision.baselines, decision.selection
        result.sweep = decision.sweep.to_dict() if decision.sweep else None
        if decision.selection is None:
            logger.warning("%s Nothing is dropped.", decision.refused)
        else:
            act(model, decision, config, optimizer)
        if compared is not None:
            result.validation["after_pruning"] = compared.metrics(full_module(model.classifier, model.config))
    result.seconds = {"scoring": scores.seconds, "total": time.perf_counter() - started}
    return result


def head_inputs(model: PreTrainedModel, batches: Batches | None, progress: bool = True) -> HeadInputs | None:
    """Validation rows as the head receives them; `None` if there are none, or, with a warning, if reading fails."""
    if batches is None:
        return None
    try:
        inputs = collect_head_inputs(model, batches, progress=progress)
    except Exception as error:
        if PartialState().num_processes > 1:
            raise  # the other processes wait for this one
        warn_without_validation(error)
        return None
    try:  # all processes have the same rows by now
        check_labelled(inputs.labels, model.config.num_labels)
    except ValueError as error:
        warn_without_validation(error)
        return None
    return inputs
