"""How important each unit of a group is, by one criterion or another. A new criterion is one function here."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch

from ..information.joint import greedy_log_determinant
from .block_removal import removal_costs
from .unit_statistics import MeasuredGroups, TokenStatistics, UnitStatistics


Importance = dict[str, torch.Tensor]
"""
`[K]` float64 on the CPU by group; the higher, the longer a unit is kept. Values compare within a group, and between
groups for those of `COMPARABLE_CRITERIA` only.
"""

CRITERIA: dict[str, Callable[[UnitStatistics], torch.Tensor]] = {}
ENCODER_CRITERIA: dict[str, Callable[..., torch.Tensor]] = {}
"""Those of `CRITERIA`, and more that look at tokens."""
Need = Literal["derivatives", "moments"]
NEEDS: dict[str, Need] = {}
"""What of an encoder's statistics is gathered for a criterion only."""
BASELINES = ("magnitude", "std_times_norm", "taylor", "random")


def criterion(function=None, *, of_heads: bool = True, needs: Need | None = None):
    """
    Registers a function that gives `[K]` importances of a group, under its name.

    Args:
        function (`Callable[[UnitStatistics], torch.Tensor]`, *optional*): The one to register.
        of_heads (`bool`, *optional*, defaults to `True`): Whether the statistics of a head have what it takes too.
        needs (`str`, *optional*): What of an encoder is gathered only on demand: `"derivatives"` for `taylor` and
            `mask_fisher`, `"moments"` for `moments`.
    """
    if function is None:
        return partial(criterion, of_heads=of_heads, needs=needs)
    ENCODER_CRITERIA[function.__name__] = function
    if of_heads:
        CRITERIA[function.__name__] = function
    if needs is not None:
        NEEDS[function.__name__] = needs
    return function


encoder_criterion = partial(criterion, of_heads=False)
"""As `criterion`, for one that only the statistics of an encoder's neurons have what it takes for."""


def importance(evidence: MeasuredGroups, name: str) -> Importance:
    """
    The importance of every unit under the criterion `name`, a key of `CRITERIA` or, for an encoder, of
    `ENCODER_CRITERIA`; -inf if it was dropped before.

    Raises:
        `ValueError`: if a value is NaN or infinite.
    """
    known = getattr(evidence, "ranked", {})
    if name in known:
        return known[name]
    result = {}
    for group in evidence.groups:
        statistics = evidence.of(group)
        values = ENCODER_CRITERIA[name](statistics).detach().double().cpu()
        if not values.isfinite().all():
            broken = int((~values.isfinite()).sum())
            raise ValueError(f"criterion={name!r} gives no finite value for {broken} neurons of {group}.")
        result[group] = values.masked_fill(~statistics.alive, -torch.inf)
    known[name] = result
    return result


@criterion
def mutual_information(statistics: UnitStatistics) -> torch.Tensor:
    """I(a; y) in bits (eq. 2 of the paper)."""
    return statistics.bits


@criterion
def joint_information(statistics: UnitStatistics) -> torch.Tensor:
    """
    Rank in a greedy selection by joint Gaussian information about the label: a neuron that repeats others comes late.
    The first neuron taken has K, the last one 1.
    """
    order = greedy_log_determinant(*statistics.class_moments.covariances()).order
    return len(order) - order.argsort()


@criterion
def magnitude(statistics: UnitStatistics) -> torch.Tensor:
    """Euclidean norm of the incoming weights."""
    return statistics.incoming_weight.norm(dim=1)


@criterion
def std_times_norm(statistics: UnitStatistics) -> torch.Tensor:
    """Standard deviation of the activation times the Euclidean norm of the outgoing weights."""
    return statistics.variance.clamp(min=0).sqrt() * statistics.outgoing_weight.norm(dim=0)


@criterion(needs="derivatives")
def taylor(statistics: UnitStatistics) -> torch.Tensor:
    """Mean of |activation x gradient of the loss|, the first-order change of a row's loss (Molchanov et al., 2017)."""
    return statistics.taylor


@criterion
def random(statistics: UnitStatistics) -> torch.Tensor:
    """A seeded draw: what a criterion has to beat."""
    return statistics.random


@encoder_criterion
def prediction_information(statistics: TokenStatistics) -> torch.Tensor:
    """
    Bits about the network's prediction that only this neuron carries, given those that are left when it goes: to
    second order the Kullback-Leibler divergence between the predictions before and after. Removal costs in the Fisher
    metric at the consumer's output.
    """
    return removal_costs(statistics.weighted_covariance, statistics.prediction_cost)


@encoder_criterion
def prediction_variance(statistics: TokenStatistics) -> torch.Tensor:
    """As `prediction_information`, but with all other neurons in place and not refitted: one pass, no inverse."""
    return statistics.weighted_covariance.diagonal().clamp(min=0) * statistics.prediction_cost


@encoder_criterion(needs="moments")
def brain_surgeon(statistics: UnitStatistics) -> torch.Tensor:
    """Squared error of the consumer's output with the others refitted (the objective of ZipLM and OSSCAR)."""
    return removal_costs(statistics.moments.covariance, statistics.outgoing_weight.double().square().sum(0))


@encoder_criterion(needs="derivatives")
def mask_fisher(statistics: TokenStatistics) -> torch.Tensor:
    """Fisher information of the neuron's mask (Kwon et al., 2022)."""
    return statistics.mask_fisher
