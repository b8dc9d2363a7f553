"""The middle of a training: neurons of one head are scored and dropped, as the callback does it in a Trainer."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import torch

from ..information import MutualInformation, NeuronStatistics
from ..models.modeling_midropout import MIDropoutHead
from ..pruning.config import MIDropoutConfig
from ..pruning.head.apply import act
from ..pruning.head.decision import decide
from ..pruning.head.evidence import Evidence
from ..pruning.head.inputs import HeadInputs
from ..pruning.head.network import HeadNetwork
from ..scoring.inference import frozen_inference
from ..scoring.scores import NeuronScores


def score_head(head: MIDropoutHead, rows: HeadInputs, num_classes: int) -> NeuronScores:
    """Mutual information of a head's neurons, given what it reads of training rows."""
    units = HeadNetwork(head).units(rows.hidden_states)
    return NeuronScores({name: _bits(values, rows.labels, num_classes) for name, values in units.items()}, num_classes)


def _bits(units: torch.Tensor, labels: torch.Tensor, num_classes: int) -> MutualInformation:
    statistics = NeuronStatistics(units.shape[1], num_classes)
    statistics.update(units, labels)
    return statistics.mutual_information()


def prune(
    head: MIDropoutHead, rows: HeadInputs, scores: NeuronScores, config: MIDropoutConfig
) -> dict[str, torch.Tensor]:
    """
    What `config` says, done to a head in place, without its learning-rate rewinding.

    Returns:
        `dict[str, torch.Tensor]`: which neurons of each layer were kept, by layer.

    Raises:
        `RuntimeError`: if nothing can be dropped.
    """
    network = HeadNetwork(head)
    with frozen_inference(network):
        decision = decide(config, Evidence(scores, network, rows, config.seed), None, config.keep)
    if decision.selection is None:
        raise RuntimeError(decision.refused)
    # Where a model would be told that its neurons have rates of their own.
    network.config = cast(Any, SimpleNamespace())
    act(network, decision, config)
    return decision.selection.kept
