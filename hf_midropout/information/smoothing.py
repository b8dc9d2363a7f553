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
ROUNDING = 1e-2
"""Bits by which a fit must beat the one before: empty neighbourhoods give independence again, up to rounding."""
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
    squares = None if squared is None else squared.permute(1, 2, 0).to(torch.float32).contiguous()
    own = _own_weight(table, squares)
    per_class = table.sum(0)
    total = per_class[:, 0].double().sum()
    samples = float(total)
    prior = (per_class[:, :1] / samples).contiguous()
    others_prior = _prior_without(own, prior, samples)
    # Independence is the fit to beat: log-ratio 0 for every sample.
    highest = (table * others_prior.log2()).sum((0, 1))
    resubstituted, left_out, square = (torch.zeros_like(highest) for _ in range(3))
    for level_bandwidths in _levels(table.shape[0]):
        for bandwidth in level_bandwidths:
            kernel = reflected_gaussian(table.shape[0], bandwidth, table.device)
            near = (kernel @ table.flatten(1)).view_as(table)
            weight = kernel.diagonal()[:, None, None]
            fit = _smoothed(near, near.sum(1, keepdim=True), prior)
            loo = _smoothed(near - weight * own, near.sum(1, keepdim=True) - weight, others_prior)
            likelihood = (table * loo).sum((0, 1))
            better = likelihood > highest + ROUNDING
            highest = torch.where(better, likelihood, highest)
            fit, loo = fit - prior.log2(), loo - others_prior.log2()
            resubstituted = torch.where(better, (table * fit).sum((0, 1)), resubstituted)
            left_out = torch.where(better, (table * loo).sum((0, 1)), left_out)
            square = torch.where(better, (table * ((fit + loo) / 2).square()).sum((0, 1)), square)
        if table.shape[0] > FEWEST_BINS:
            table, squares = _halved(table), _halved(squares)
            own = _own_weight(table, squares)
            others_prior = _prior_without(own, prior, samples)
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


def _own_weight(table: torch.Tensor, squares: torch.Tensor | None) -> torch.Tensor:
    """What one sample adds to its own cell: 1, or on average its probability of the class."""
    return table.new_ones(1, 1, 1) if squares is None else squares / table.clamp(min=1e-30)


def _halved(table: torch.Tensor | None) -> torch.Tensor | None:
    """Neighbouring bins added up in pairs."""
    return None if table is None else table.view(-1, 2, *table.shape[1:]).sum(1)


def _prior_without(own, prior, samples: float) -> torch.Tensor:
    """p(class) among the other samples, kept above 0 for a class of one sample."""
    return (prior * (samples + PSEUDO_COUNT) - own) / (samples - 1 + PSEUDO_COUNT)


def _smoothed(near, near_any, prior) -> torch.Tensor:
    """log2 p(class | bin) from the weights nearby, of the class and of any."""
    return (near.clamp(min=0) + PSEUDO_COUNT * prior).log2() - (near_any.clamp(min=0) + PSEUDO_COUNT).log2()


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
