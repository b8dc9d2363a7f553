"""What to do to the neurons, decided in one place from everything that was measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import PartialState

from ...choices import SEARCH
from ...metrics.classification import metrics
from ...scoring.inference import frozen_inference
from ...utils.broadcasting import from_main_process
from ...utils.typed_json import from_json
from ..comparison.noninferiority import compare_with_chance, rows_needed, too_few_rows
from ..config import MIDropoutConfig
from ..criteria import Importance, importance
from ..record.schema import Sweep
from ..selection import NothingToSelect, Selection, nested_selections, select
from .baselines import one_shot_baselines
from .evidence import Evidence
from .inputs import HeadInputs
from .network import HeadNetwork
from .reconstruction import Reconstruction, Refit
from .search import sweep


REFITTED_LEVELS = 64


@dataclass
class Decision:
    """
    Args:
        importance (`dict[str, torch.Tensor]`, *optional*): Of every neuron, by layer.
        selection ([`Selection`], *optional*): Which neurons to keep; `None` if nothing is to be dropped.
        refused (`str`, *optional*): Why not.
        refit ([`Refit`], *optional*): New weights that go with it.
        sweep ([`Sweep`], *optional*): The search of the threshold.
        baselines (`dict`, *optional*): What other criteria would give, see [`baselines.one_shot_baselines`].
    """

    importance: Importance | None = None
    selection: Selection | None = None
    refused: str | None = None
    refit: Refit | None = None
    sweep: Sweep | None = None
    baselines: dict[str, Any] | None = None

    def content(self) -> dict[str, Any]:
        """What is no tensor, JSON-ready."""
        return {
            "threshold": self.selection.threshold if self.selection else None,
            "refused": self.refused,
            "sweep": self.sweep.to_dict() if self.sweep else None,
            "baselines": self.baselines,
        }

    def tensors(self) -> dict[str, torch.Tensor]:
        """The tensors, by kind and group."""
        kinds = {
            "importance": self.importance,
            "kept": self.selection.kept if self.selection else None,
            "weights": self.refit.weights if self.refit else None,
            "biases": self.refit.biases if self.refit else None,
        }
        return {f"{kind}/{name}": each for kind, groups in kinds.items() for name, each in (groups or {}).items()}

    @classmethod
    def received(cls, content: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> Decision:
        """What another process gave as its `content` and `tensors`."""
        kinds: dict[str, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition("/")
            kinds.setdefault(kind, {})[name] = tensor
        return cls(
            importance=kinds.get("importance"),
            selection=Selection(kinds["kept"], content["threshold"]) if "kept" in kinds else None,
            refused=content["refused"],
            refit=Refit(kinds["weights"], kinds["biases"]) if "weights" in kinds else None,
            sweep=from_json(Sweep, content["sweep"]) if content["sweep"] else None,
            baselines=content["baselines"],
        )


def decide(config: MIDropoutConfig, evidence: Evidence, validation: HeadInputs | None, keep: float | None) -> Decision:
    """
    Args:
        config ([`MIDropoutConfig`]): What was asked for.
        evidence ([`Evidence`]): Scores, head and training rows.
        validation ([`HeadInputs`], *optional*): For the search and the baselines.
        keep (`float`, *optional*): The budget of this round.
    """
    decision = Decision()
    reconstruction = None
    if config.reconstruction != "none" and config.action == "prune":
        reconstruction = Reconstruction(evidence.network, evidence.groups, evidence.moments, config.reconstruction)
    try:
        values = decision.importance = importance(evidence, config.criterion_of("head"))
        if config.threshold == SEARCH:
            assert validation is not None  # made sure of before training
            check_search(config, evidence.network, validation)
            levels = nested_selections(values, config.scope, limit=REFITTED_LEVELS if reconstruction else None)
            decision.sweep = sweep(
                evidence.network,
                validation,
                levels,
                metric=config.metric,
                margin=config.margin,
                alpha=config.alpha,
                reconstruction=reconstruction,
            )
            decision.selection = _searched(decision.sweep, levels)
        else:
            assert not isinstance(config.threshold, str)
            decision.selection = select(values, threshold=config.threshold, keep=keep, scope=config.scope)
    except NothingToSelect as refusal:
        # A training of hours is not thrown away for a threshold that turned out wrong: it goes on, dense.
        decision.refused = str(refusal)
        return decision
    if reconstruction:
        decision.refit = reconstruction.refit(decision.selection.kept)
    if validation is not None and config.baselines:
        decision.baselines = one_shot_baselines(
            evidence, validation, config.criterion_of("head"), decision.selection, reconstruction
        )
    return decision


def decide_once(
    config: MIDropoutConfig, evidence: Evidence, validation: HeadInputs | None, keep: float | None
) -> Decision:
    """
    `decide` on the main process, its decision on all: every rank must drop the same neurons.

    Raises:
        What `decide` raised, on the main process; on the others `ValueError` or `RuntimeError` with the same message.
    """
    if PartialState().num_processes == 1:
        return decide(config, evidence, validation, keep)

    def decided() -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
        decision = decide(config, evidence, validation, keep)
        return decision.content(), decision.tensors()

    return Decision.received(*from_main_process(decided))


def check_search(config: MIDropoutConfig, network: HeadNetwork, validation: HeadInputs) -> None:
    """
    Raises:
        [`NothingToSelect`]: if there is nothing to be learned from a search: there are too few rows for its test, or
            `network` is at chance, from where no pruning can make it worse.
    """
    labelled = validation.labelled()
    hidden_states, labels = labelled.hidden_states, labelled.labels.to(labelled.hidden_states.device)
    few = too_few_rows(config.metric, config.margin, config.alpha, len(labels))
    if few:
        raise NothingToSelect(f"threshold={SEARCH!r}: {few}")
    with frozen_inference(network):
        logits = network(hidden_states)
    chance = compare_with_chance(config.metric, logits, labels)
    if chance.p_value > config.alpha:
        value = metrics(logits, labels)[config.metric]
        raise NothingToSelect(
            f"threshold={SEARCH!r}: the network is not shown to be better than one that ignores the text. On "
            f"{len(labels):,} validation rows its {config.metric} is {value:.4f}, against {chance.value:.4f} by "
            f"chance or the class frequencies: p = {chance.p_value:.3f} > {config.alpha}. Train longer before neurons "
            "are scored (a later `start`), or give more validation rows."
        )


def _searched(result: Sweep, levels: list[Selection]) -> Selection:
    if not levels:
        raise NothingToSelect("threshold='search' has nothing to try: all neurons are equal, or one is left.")
    if result.chosen is None:
        first = result.levels[0]
        rows = rows_needed(result.metric, result.margin, result.alpha, first.stderr**2 * result.rows)
        raise NothingToSelect(
            f"threshold='search': on {result.rows} validation rows even the least pruned network is not shown "
            f"to be non-inferior: worse by {first.difference:.4f} ± {first.stderr:.4f} {result.metric}, margin "
            f"{result.margin}, p = {first.p_value:.3f} > {result.alpha}. {rows:,} rows or so may show it."
        )
    return levels[result.chosen]
