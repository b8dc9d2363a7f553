"""What was measured of a group of encoder neurons, over tokens: the sums, and what criteria look at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ...information import mutual_information
from ...information.moments import Moments, SecondMoments, Variances
from ..unit_statistics import TokenStatistics


if TYPE_CHECKING:
    from ..criteria import Need
    from .evidence import EncoderEvidence


TOKEN_POWER = 1.0
"""Of the length of a token's gradient, in its weight: 0 counts all alike, 2 by the Fisher information."""


@dataclass
class TokenSums:
    """
    What is summed over the tokens of one group, in float64.

    Args:
        units, outputs (`int`): Units of the group, and outputs of its consumer.
        device (`torch.device`): Where the sums live.
    """

    units: int
    outputs: int
    device: torch.device

    def __post_init__(self):
        # In float64, the products of a wide layer would take most of the time.
        self.weighted = SecondMoments(self.units, device=self.device, exact=False)
        self.plain = SecondMoments(self.units, device=self.device, exact=False)
        self.variances = Variances(self.units, self.device)
        self.fisher = torch.zeros(self.outputs, self.outputs, dtype=torch.float64, device=self.device)
        self.mask_fisher = torch.zeros(self.units, dtype=torch.float64, device=self.device)
        self.taylor = torch.zeros(self.units, dtype=torch.float64, device=self.device)
        self.averages: list[torch.Tensor] = []
        self.weights: list[torch.Tensor] = []

    @property
    def tokens(self) -> int:
        """Tokens that count."""
        return self.variances.samples


@dataclass(frozen=True)
class EncoderStatistics(TokenStatistics):
    """
    What was measured of one group of an encoder.

    Args:
        evidence ([`EncoderEvidence`]): Of all groups.
        group ([`PrunableGroup`]): The one.
    """

    evidence: EncoderEvidence

    @property
    def _sums(self) -> TokenSums:
        return self.evidence.sums[self.group.name]

    def _check_gathered(self, need: Need) -> None:
        if not getattr(self.evidence, need):
            raise ValueError(
                f"{need} of the neurons of {self.group.name} were not gathered: register the criterion that reads "
                f"them with @criterion(needs={need!r})."
            )

    @property
    def averages(self) -> torch.Tensor:
        """`[rows, K]` activations, averaged over tokens (and applications)."""
        parts, calls = self._sums.averages, self.group.num_calls
        return torch.cat([torch.stack(parts[at : at + calls]).mean(0) for at in range(0, len(parts), calls)])

    @property
    def bits(self) -> torch.Tensor:
        """`[K]` mutual information of the token averages with the label."""
        labels = torch.cat(self.evidence.labels)
        return mutual_information(self.averages, labels, self.evidence.num_classes)[0]

    @property
    def moments(self) -> Moments:
        """Mean `[K]` and covariance `[K, K]` of the activations, over tokens; gathered for the criteria that ask."""
        self._check_gathered("moments")
        return self._sums.plain.moments()

    @property
    def variance(self) -> torch.Tensor:
        """`[K]` of the activations, over tokens."""
        return self._sums.variances.variance

    @property
    def weighted_covariance(self) -> torch.Tensor:
        """
        `[K, K]` of the activations, over tokens, of which each counts as much as the prediction depends on what the
        consumer gives for it: the length of the gradient, to the power `TOKEN_POWER`.
        """
        return self._sums.weighted.moments().covariance

    @property
    def class_moments(self) -> SecondMoments:
        """Second moments of the token averages, overall and within classes."""
        moments = SecondMoments(self.group.num_units, self.evidence.num_classes)
        moments.update(self.averages, torch.cat(self.evidence.labels))
        return moments

    @property
    def output_fisher(self) -> torch.Tensor:
        """
        `[outputs, outputs]` Fisher information of the prediction about the consumer's output, mean over tokens: in
        nats squared per square of what the consumer gives.
        """
        return self._sums.fisher / self._sums.tokens

    @property
    def prediction_cost(self) -> torch.Tensor:
        """`[K]`: bits by which the prediction changes, to second order, for each unit of variance of a neuron."""
        weight = self.outgoing_weight.double()
        return ((self.output_fisher @ weight) * weight).sum(0) / (2 * math.log(2))

    @property
    def mask_fisher(self) -> torch.Tensor:
        """`[K]` mean square of the derivative of a row's log-likelihood by the neuron's mask (Kwon et al., 2022)."""
        self._check_gathered("derivatives")
        return self._sums.mask_fisher / self.evidence.rows

    @property
    def taylor(self) -> torch.Tensor:
        """`[K]` mean of |activation x gradient of the loss|, summed over tokens."""
        self._check_gathered("derivatives")
        return self._sums.taylor / self.evidence.rows
