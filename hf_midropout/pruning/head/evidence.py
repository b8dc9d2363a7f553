"""What was measured of the groups of a head: what a criterion may look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from ...groups import Groups, capture_units
from ...information.moments import Moments, SecondMoments, moments_by_group
from ...scoring.inference import frozen_inference
from ...scoring.scores import NeuronScores
from ..unit_statistics import UnitStatistics, random_draws
from .inputs import HeadInputs
from .network import HeadNetwork


CHUNK_ROWS = 4096


@dataclass
class Evidence:
    """
    Statistics of every group, each measured when a criterion first asks for it, from the head's inputs.

    Args:
        scores ([`NeuronScores`]): Mutual information of the units, by group.
        network ([`HeadNetwork`]): The head.
        inputs ([`HeadInputs`]): Its input for training rows.
        seed (`int`): Seed of what is drawn.
    """

    scores: NeuronScores
    network: HeadNetwork
    inputs: HeadInputs
    seed: int = 0

    @cached_property
    def groups(self) -> Groups:
        """By name, in the order of the scores."""
        groups = self.network.groups
        return {name: groups[name] for name in self.scores.layers}

    def of(self, name: str) -> HeadStatistics:
        """What was measured of one group."""
        return HeadStatistics(self, self.groups[name])

    @cached_property
    def moments(self) -> dict[str, Moments]:
        """Of all rows."""
        return moments_by_group(self.network.units(rows) for rows in self.inputs.hidden_states.split(CHUNK_ROWS))

    @cached_property
    def class_moments(self) -> dict[str, SecondMoments]:
        """Of labelled rows, overall and within classes."""
        gathered: dict[str, SecondMoments] = {}
        for hidden_states, labels in self._labelled():
            for name, values in self.network.units(hidden_states).items():
                if name not in gathered:
                    gathered[name] = SecondMoments(values.shape[1], self.scores.num_classes, values.device)
                gathered[name].update(values, labels)
        return gathered

    @cached_property
    def taylor(self) -> dict[str, torch.Tensor]:
        """Mean of |activation x gradient of the loss| over labelled rows, `[K]` float64 by group."""
        totals = {name: torch.zeros(group.num_units, dtype=torch.float64) for name, group in self.groups.items()}
        rows = 0
        for hidden_states, labels in self._labelled():
            with frozen_inference(self.network), torch.enable_grad():
                with capture_units(self.network, self.groups) as captured:
                    logits = self.network(hidden_states.detach().requires_grad_())
                units = {name: values[0] for name, values in captured.items()}
                loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
                gradients = torch.autograd.grad(loss, list(units.values()))
            for (name, values), gradient in zip(units.items(), gradients, strict=True):
                totals[name] += (values * gradient).detach().abs().sum(0).double().cpu()
            rows += len(labels)
        return {name: total / rows for name, total in totals.items()}

    @cached_property
    def random(self) -> dict[str, torch.Tensor]:
        """As [`random_draws`]."""
        return random_draws(self.groups, self.seed)

    def _labelled(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        return self.inputs.labelled().split(CHUNK_ROWS)


@dataclass(frozen=True)
class HeadStatistics(UnitStatistics):
    """
    What was measured of one group.

    Args:
        evidence ([`Evidence`]): Of all groups.
        group ([`PrunableGroup`]): The one.
    """

    evidence: Evidence

    @property
    def bits(self) -> torch.Tensor:
        """`[K]` mutual information with the label."""
        return self.evidence.scores.layers[self.group.name].bits

    @property
    def moments(self) -> Moments:
        """Mean `[K]` and covariance `[K, K]` of the activations."""
        return self.evidence.moments[self.group.name]

    @property
    def variance(self) -> torch.Tensor:
        """`[K]` of the activations."""
        return self.moments.covariance.diagonal()

    @property
    def class_moments(self) -> SecondMoments:
        """Second moments, overall and within classes."""
        return self.evidence.class_moments[self.group.name]

    @property
    def taylor(self) -> torch.Tensor:
        """`[K]` mean of |activation x gradient of the loss|."""
        return self.evidence.taylor[self.group.name]
