"""One pruning step of a MI-Dropout head: scores, decides, drops."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from accelerate import PartialState

from ...groups.sharding import full_module
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference
from ...scoring.neurons import score_neurons
from ..config import MIDropoutConfig
from ..head.apply import act
from ..head.decision import Decision, decide_once
from ..head.evidence import Evidence
from ..head.inputs import HeadInputCollector, HeadInputs, collect_head_inputs
from ..head.network import HeadNetwork
from ..record.result import PruningResult
from .data_checks import check_labelled, warn_without_validation


if TYPE_CHECKING:
    from transformers import PreTrainedModel


HEAD_ROWS = 10_000
"""Training rows whose head inputs are kept for criteria and refits: beyond that, scores go on at constant memory."""

logger = logging.getLogger(__name__)


def prune_head(
    model: PreTrainedModel,
    training: Batches,
    validation: Batches | None,
    config: MIDropoutConfig,
    keep: float | None,
    *,
    step: int = 0,
    optimizer=None,
    progress: bool = True,
) -> PruningResult:
    """
    One pruning step of the head, on every process.

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
    result = PruningResult(step, scores)
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
    model.set_information(scores.bits)
    result.seconds = {"scoring": scores.seconds, "total": time.perf_counter() - started}
    return result


def refresh_information(model: PreTrainedModel, training: Batches, progress: bool = True) -> None:
    """Scores the neurons of the head for a regularizer that asks for it (`"drop_mi"`), on every process."""
    regularizers = getattr(getattr(model, "classifier", None), "regularizers", ())
    if any(hasattr(each, "set_information") for each in regularizers):
        model.set_information(score_neurons(model, training, progress=progress).bits)


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
