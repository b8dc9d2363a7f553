"""One pruning step of an encoder: scored, measured, decided on one process, and cut on all, optimizer included."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import extract_model_from_parallel

from ...choices import SEARCH
from ...groups import Groups, cut_groups, find_groups, linear_of
from ...scoring.batches import Batches
from ...scoring.neurons import score_neurons
from ...scoring.taps import uncompiled
from ...utils.broadcasting import from_main_process
from ..comparison.noninferiority import rows_needed
from ..comparison.predictions import predict
from ..config import MIDropoutConfig
from ..encoder.one_shot import Budget, measure_encoder, prune_with, set_width
from ..encoder.width_allocation import width_for
from ..encoder.width_search import search_width
from ..record.result import PruningResult
from ..record.schema import Sweep
from ..selection import NothingToSelect, Selection


if TYPE_CHECKING:
    from transformers import PreTrainedModel


BASELINES = ("std_times_norm", "magnitude", "random")

logger = logging.getLogger(__name__)


def prune_encoder_once(
    model: PreTrainedModel,
    training: Batches,
    validation: Batches | None,
    config: MIDropoutConfig,
    keep: float | None,
    *,
    step: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    previous: Selection | None = None,
    progress: bool = True,
) -> PruningResult:
    """
    One pruning step of the encoder, on every process. The model gets narrower in place, and the optimizer goes on with
    what it remembers of the weights that stay.

    Args:
        model ([`~transformers.PreTrainedModel`]): Not wrapped, whole on this process.
        training, validation (`Batches`): Rows to score and measure with, and to compare on.
        config ([`MIDropoutConfig`]): What was asked for.
        keep (`float`, *optional*): The fraction of the neurons that the model had at first that this step leaves;
            `None` for the search.
        step (`int`, *optional*, defaults to 0): Optimizer step after which it happens.
        optimizer (`torch.optim.Optimizer`, *optional*): Of the training.
        previous ([`Selection`], *optional*): What an earlier step kept of the neurons that there were at first.
        progress (`bool`, *optional*, defaults to `True`): Shows progress bars.
    """
    started = time.perf_counter()
    scores = score_neurons(model, training, targets="encoder", progress=progress)
    before = previous.kept if previous else {}
    result = PruningResult(step, scores.widened(before))
    seconds = {"scoring": scores.seconds}

    def decided() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        with uncompiled(model):
            return decide(model, training, validation, config, keep, before, progress)

    content, tensors = from_main_process(decided)
    result.validation, result.refused = content["validation"], content["refused"]
    result.baselines, result.sweep = content["baselines"], content["sweep"]
    if config.action != "none" and result.refused is not None:
        logger.warning("%s Nothing is dropped.", result.refused)
    if "kept" in content:
        groups = find_groups(model, "encoder")
        kept = {name: tensors[f"kept/{name}"] for name in groups}
        cut_groups(model, groups, kept, optimizer)
        set_width(model, groups)
        overwrite_consumers(model, groups, tensors)
        whole = {name: scattered(before.get(name), mask) for name, mask in kept.items()}
        result.selection = Selection(whole, content["kept"])
    result.seconds = {**seconds, **content["seconds"], "total": time.perf_counter() - started}
    return result


def decide(
    model: PreTrainedModel,
    training: Batches,
    validation: Batches | None,
    config: MIDropoutConfig,
    keep: float | None,
    before: Mapping[str, torch.Tensor],
    progress: bool = True,
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """
    What to keep, and the weights that read it, from copies of `model`, which stays as it is.

    Returns:
        `tuple[dict, dict[str, torch.Tensor]]`: JSON-able results, and `kept/`, `weight/` and `bias/` by group; no
        tensors if nothing is to be dropped.
    """
    content: dict[str, Any] = {"validation": {}, "refused": None, "baselines": None, "sweep": None, "seconds": {}}
    # Without the mixed precision of a training: layers are run on their own here, which that does not reach.
    network = extract_model_from_parallel(copy.deepcopy(model), keep_fp32_wrapper=False)
    dense = predict(network, validation) if validation is not None else None
    if dense is not None:
        if not dense.logits.isfinite().all():
            raise ValueError(f"{type(network).__name__} gives NaN or infinite logits: it cannot be compared with.")
        content["validation"] = {"rows": len(dense.labels), "before_pruning": dense.metrics()}
    if config.action == "none":
        return content, {}
    criterion, reconstruct = config.criterion_of("encoder"), config.reconstruction != "none"
    names = [name for name in BASELINES if config.baselines and name != criterion and dense is not None]
    evidence = measure_encoder(network, training, config.seed, [criterion], config.reconstruction_samples, progress)
    try:
        if config.threshold == SEARCH:
            assert dense is not None and validation is not None  # made sure of before training
            found = search_width(
                evidence, criterion, validation, dense, metric=config.metric, margin=config.margin,
                alpha=config.alpha, reconstruct=reconstruct, scope=config.scope,
            )  # fmt: skip
            content["sweep"] = found.sweep.to_dict()
            if found.network is None:
                raise NothingToSelect(not_even_the_widest(found.sweep))
            assert found.pruning is not None
            counts = found.pruning.selection.counts
            networks, pruned = {criterion: found.network}, {criterion: found.pruning}
        else:
            assert keep is not None
            width = width_for(keep, len(next(iter(before.values())))) if before else None
            counts = Budget(criterion, keep, width, config.scope).counts_of(evidence)
            networks, pruned = {}, {}
        budgets = {name: Budget(name, counts=counts) for name in [criterion, *names] if name not in networks}
        networks |= {name: copy.deepcopy(evidence.network) for name in budgets}
        pruned |= prune_with(evidence, budgets, {name: networks[name] for name in budgets}, reconstruct)
    except NothingToSelect as refusal:
        # A training of hours is not thrown away for a budget that turned out wrong: it goes on, dense.
        content["refused"] = str(refusal)
        return content, {}
    if dense is not None and validation is not None:
        compared = {name: predict(network, validation).compared(dense) for name, network in networks.items()}
        content["validation"]["after_pruning"] = compared[criterion]
        if names:
            content["baselines"] = {"rows": len(dense.labels), "one_shot": compared}
    result = pruned[criterion]
    content["kept"], content["seconds"] = result.selection.threshold, result.seconds
    tensors = {f"kept/{name}": mask for name, mask in result.selection.kept.items()}
    for name, group in evidence.groups.items():
        consumer = linear_of(networks[criterion], group.consumer)
        tensors[f"weight/{name}"] = consumer.weight.detach()
        if consumer.bias is not None:
            tensors[f"bias/{name}"] = consumer.bias.detach()
    return content, tensors


def not_even_the_widest(sweep: Sweep, option: str = f"threshold={SEARCH!r}") -> str:
    """Why a search, asked for by `option`, found nothing."""
    first = sweep.levels[0]
    rows = rows_needed(sweep.metric, sweep.margin, sweep.alpha, first.stderr**2 * sweep.rows)
    return (
        f"{option}: on {sweep.rows:,} validation rows even the widest encoder tried is not shown to be "
        f"non-inferior: worse by {first.difference:.4f} ± {first.stderr:.4f} {sweep.metric}, margin {sweep.margin}, "
        f"p = {first.p_value:.3f} > {sweep.alpha}. {rows:,} rows or so may show it."
    )


@torch.no_grad()
def overwrite_consumers(model: PreTrainedModel, groups: Groups, tensors: Mapping[str, torch.Tensor]) -> None:
    """Writes the refitted weights into the consumers of `groups`, in place."""
    for name, group in groups.items():
        consumer = linear_of(model, group.consumer)
        consumer.weight.copy_(tensors[f"weight/{name}"])
        if consumer.bias is not None:
            consumer.bias.copy_(tensors[f"bias/{name}"])


def scattered(before: torch.Tensor | None, kept: torch.Tensor) -> torch.Tensor:
    """The mask over the neurons that there were at first, given those left `before` and which of them are `kept`."""
    if before is None:
        return kept
    return torch.zeros_like(before).masked_scatter(before, kept)


def measured_metrics(model: PreTrainedModel, validation: Batches | None) -> dict[str, float] | None:
    """Metrics of `model` on validation rows, on every process; `None` without any."""
    if validation is None:
        return None

    def metrics() -> tuple[dict[str, float], dict[str, torch.Tensor]]:
        return predict(model, validation).metrics(), {}

    return from_main_process(metrics)[0]
