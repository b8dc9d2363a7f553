"""The order in which units are removed when each costs what only it carries, given the units that are left."""

from __future__ import annotations

import torch


BLOCKS = 64
"""Units are removed in so many blocks: costs are measured anew after each."""


def removal_costs(
    covariance: torch.Tensor, weight: torch.Tensor, ridge: float = 1e-3, blocks: int = BLOCKS
) -> torch.Tensor:
    """
    Removes all units, the cheapest first. Removing unit k from a set S, with the others refitted by least squares,
    costs weight_k / [inverse of covariance_S]_kk: the part of its variance that the others do not explain, times its
    weight (structured optimal brain surgeon: Hassibi and Stork, 1993; Kurtic et al., 2023).

    Args:
        covariance (`torch.Tensor` of shape `[K, K]`): Of the units' activations, in float64.
        weight (`torch.Tensor` of shape `[K]`): What a unit of variance costs.
        ridge (`float`, *optional*, defaults to 1e-3): Added to the diagonal, as a fraction of its mean.
        blocks (`int`, *optional*, defaults to 64): Blocks to remove units in.

    Returns:
        `torch.Tensor` of shape `[K]`: what each unit cost when it was removed; never less than one removed before it.
    """
    units = len(covariance)
    penalised = covariance.double().clone()
    penalised.diagonal().add_(ridge * penalised.diagonal().mean().clamp(min=1e-30))
    inverse = torch.linalg.inv(penalised)
    weight = weight.detach().double().to(inverse.device)
    result = torch.zeros(units, dtype=torch.float64, device=inverse.device)
    left = torch.arange(units, device=inverse.device)
    floor = 0.0
    step = -(-units // blocks)
    while len(left):
        costs = weight[left] / inverse.diagonal().clamp(min=1e-30)
        order = costs.argsort(stable=True)
        removed, stays = order[:step], order[step:].sort().values
        result[left[removed]] = costs[removed].clamp(min=floor)
        floor = float(result[left[removed]].max())
        # The inverse of what stays: Woodbury's identity.
        between = inverse[stays][:, removed]
        inverse = inverse[stays][:, stays] - between @ torch.linalg.solve(inverse[removed][:, removed], between.t())
        left = left[stays]
    return result
