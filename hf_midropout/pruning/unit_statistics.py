"""What criteria may look at of a group, in a head or an encoder, whoever measured it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from ..groups import Groups, PrunableGroup
from ..information.moments import Moments, SecondMoments


def random_draws(groups: Groups, seed: int) -> dict[str, torch.Tensor]:
    """`[K]` uniform draws by group, one group after the other."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(group.num_units, generator=generator) for name, group in groups.items()}


@dataclass(frozen=True)
class UnitStatistics(ABC):
    """
    What was measured of one group, as in `head/evidence.py` or `encoder/token_statistics.py`.

    Args:
        evidence (`Any`): What was measured of all groups: with a `network`, and `random` as [`random_draws`] gives.
        group ([`PrunableGroup`]): The one that this is about.
    """

    evidence: Any
    group: PrunableGroup

    @property
    def random(self) -> torch.Tensor:
        """`[K]` uniform draws."""
        return self.evidence.random[self.group.name]

    @property
    def incoming_weight(self) -> torch.Tensor:
        """`[K, incoming weights of a unit]`."""
        return self.group.incoming_weight(self.evidence.network)

    @property
    def outgoing_weight(self) -> torch.Tensor:
        """`[consumer's outputs, K * unit_size]`."""
        return self.group.outgoing_weight(self.evidence.network)

    @property
    def alive(self) -> torch.Tensor:
        """`[K]` bool on the CPU: units that were not dropped before."""
        if self.group.masked_by is None:
            return torch.ones(self.group.num_units, dtype=torch.bool)
        return self.evidence.network.get_buffer(f"{self.group.masked_by}.mask").cpu()

    @property
    @abstractmethod
    def bits(self) -> torch.Tensor:
        """`[K]` mutual information with the label."""

    @property
    @abstractmethod
    def moments(self) -> Moments:
        """Mean `[K]` and covariance `[K, K]` of the activations."""

    @property
    @abstractmethod
    def variance(self) -> torch.Tensor:
        """`[K]` of the activations."""

    @property
    @abstractmethod
    def class_moments(self) -> SecondMoments:
        """Second moments, overall and within classes."""

    @property
    @abstractmethod
    def taylor(self) -> torch.Tensor:
        """`[K]` mean of |activation x gradient of the loss|."""


class TokenStatistics(UnitStatistics):
    """What was measured of one group over tokens: more than of a head's."""

    @property
    @abstractmethod
    def weighted_covariance(self) -> torch.Tensor:
        """`[K, K]` of the activations, over tokens, of which each counts as the prediction depends on it."""

    @property
    @abstractmethod
    def prediction_cost(self) -> torch.Tensor:
        """`[K]`: bits by which the prediction changes, to second order, for each unit of variance of a neuron."""

    @property
    @abstractmethod
    def mask_fisher(self) -> torch.Tensor:
        """`[K]` mean square of the derivative of a row's log-likelihood by the neuron's mask (Kwon et al., 2022)."""


class MeasuredGroups(Protocol):
    """What was measured of all groups: the evidence that criteria rank by."""

    @property
    def groups(self) -> Groups:
        """By name."""

    def of(self, name: str, /) -> UnitStatistics:
        """What was measured of one group."""
