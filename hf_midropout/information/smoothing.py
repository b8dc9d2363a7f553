"""
Mutual information from counts that are smoothed along the ranks of a neuron.

A neuron's equal-mass bins are put in order, and the probability of each class is smoothed along them with a Gaussian
kernel. Each neuron chooses its own bandwidth: the one under which the labels, each left out in turn, are likeliest.
That is a proper score, so a neuron that tells nothing chooses the flattest fit, independence, and scores 0.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch


PSEUDO_COUNT = 0.1
"""Samples of the overall class distribution that are added to every bin, so that no probability is 0."""
FINE_BANDWIDTHS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""In bins of the table as it comes. Wider kernels have width 4 on tables of half, a quarter, ... as many bins."""
FEWEST_BINS = 16
BLOCK_ELEMENTS = 2**19
"""Cells smoothed at once: temporaries of this size stay in a processor's cache."""


def smoothed_information(
    counts: torch.Tensor, squared: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mutual information as the mean over the samples of log2 p(class | bin) / p(class), halfway between the fit with and
    the fit without the sample itself, whose biases nearly cancel.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, classes]`): Samples in equal-mass bins, in the order of the ranks;
            every neuron has the same number of samples of each class.
        squared (`torch.Tensor` of shape `[K, bins, classes]`, *optional*): For soft labels, whose probabilities
            `counts` adds up: the sum of their squares.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: bits, which noise can take a little below 0, and their standard errors,
        each `[K]` in float64.
    """
    present = counts[0].sum(0) > 0
    counts = counts[:, :, present]
    squared = squared[:, :, present] if squared is not None else None
    neurons, bins, classes = counts.shape
    block = neurons if counts.is_cuda else max(1, BLOCK_ELEMENTS // (bins * classes))
    parts = [
        _smooth_block(counts[rows], None if squared is None else squared[rows])
        for rows in (slice(start, start + block) for start in range(0, neurons, block))
    ]
    bits, stderr = (torch.cat(part) for part in zip(*parts, strict=True))
    return bits, stderr


def _smooth_block(counts: torch.Tensor, squared: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    # [bins, classes, neurons]: neurons last, so that every operation below runs along contiguous memory.
    table = counts.permute(1, 2, 0).to(torch.float32).contiguous()
    own = squared.permute(1, 2, 0).float() / table.clamp(min=1e-30) if squared is not None else torch.ones_like(table)
    per_class = table.sum(0)
    total = per_class[:, 0].double().sum()
    samples = float(total)
    prior = (per_class[:, :1] / samples).contiguous()
    independent = _log_odds(per_class[None], own, prior, 1.0)

    # Independence is the fit to beat: log-ratio 0 for every sample.
    highest = (table * independent[1]).sum((0, 1))
    resubstituted, left_out, square = (torch.zeros_like(highest) for _ in range(3))
    for level_bandwidths in _levels(table.shape[0]):
        for bandwidth in level_bandwidths:
            kernel = reflected_gaussian(table.shape[0], bandwidth, table.device)
            near = (kernel @ table.flatten(1)).view_as(table)
            fit, loo = _log_odds(near, own, prior, kernel.diagonal()[:, None, None])
            likelihood = (table * loo).sum((0, 1))
            better = likelihood > highest
            highest = torch.where(better, likelihood, highest)
            fit, loo = fit - independent[0], loo - independent[1]
            resubstituted = torch.where(better, (table * fit).sum((0, 1)), resubstituted)
            left_out = torch.where(better, (table * loo).sum((0, 1)), left_out)
            square = torch.where(better, (table * ((fit + loo) / 2).square()).sum((0, 1)), square)
        if table.shape[0] > FEWEST_BINS:
            weight = table * own
            table, weight = (t.view(-1, 2, *t.shape[1:]).sum(1) for t in (table, weight))
            own = weight / table.clamp(min=1e-30) if squared is not None else torch.ones_like(table)
            independent = _log_odds(per_class[None], own, prior, 1.0)
    resubstituted, left_out, square = (moment.double() / samples for moment in (resubstituted, left_out, square))
    bits = (resubstituted + left_out) / 2
    # First order: the spread of the terms. Second order: a fit with v degrees of freedom overshoots by v / 2N nats in
    # resubstitution and undershoots as much left out, so their gap tells v, and v chi-square terms vary by 2v / 4N^2.
    gap = (resubstituted - left_out).clamp(min=(len(prior) - 1) / (samples * math.log(2)))
    variance = (square - bits.square()).clamp(min=0) / samples + gap / (2 * samples * math.log(2)) + (gap / 4).square()
    return bits, variance.sqrt()


def _levels(bins: int) -> list[tuple[float, ...]]:
    """Bandwidths to try at each size of the table: `bins`, half of it, and so on."""
    coarser = max(0, int(math.log2(bins / FEWEST_BINS)))
    return [FINE_BANDWIDTHS] + [FINE_BANDWIDTHS[-1:]] * coarser


def _log_odds(near, own, prior, own_weight) -> tuple[torch.Tensor, torch.Tensor]:
    """log2 p(class | bin), with and without the sample itself, which is `own_weight * own` of the `near` samples."""
    near_any = near.sum(1, keepdim=True)
    fit = (near + PSEUDO_COUNT * prior).log2() - (near_any + PSEUDO_COUNT).log2()
    others = (near - own_weight * own).clamp(min=0)
    others_any = (near_any - own_weight).clamp(min=0)
    return fit, (others + PSEUDO_COUNT * prior).log2() - (others_any + PSEUDO_COUNT).log2()


@lru_cache(maxsize=64)
def reflected_gaussian(bins: int, bandwidth: float, device: torch.device) -> torch.Tensor:
    """`[bins, bins]` weights exp(-d^2 / 2h^2), 1 at distance 0, reflected at both ends; the identity for h = 0."""
    if bandwidth == 0:
        return torch.eye(bins, device=device)
    position = torch.arange(bins, device=device, dtype=torch.float32)
    distance = position[:, None] - position[None, :]
    beyond_first = position[:, None] + position[None, :] + 1
    beyond_last = 2 * bins - beyond_first
    weights = torch.zeros(bins, bins, device=device)
    for d in (distance, beyond_first, beyond_last):
        weights += torch.exp(-0.5 * (d / bandwidth) ** 2)
    return weights
