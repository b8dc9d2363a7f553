"""
Mutual information from counts that are smoothed along the ranks of a neuron.

A neuron's equal-mass bins are put in order, and the probability of each class is smoothed along them with a Gaussian
kernel. Each neuron chooses its own bandwidth: the one under which the labels, each left out in turn, are likeliest.
That is a proper score, so a neuron that tells nothing chooses the flattest fit, independence, and scores 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch


PSEUDO_COUNT = 0.1
"""Samples of the overall class distribution that are added to every bin, so that no probability is 0."""
FINE_BANDWIDTHS = (0.0, 1.0, 2.0, 4.0)
"""In bins of the table as it comes. Wider kernels have width 4 on tables of half, a quarter, ... as many bins."""
KERNEL_REACH = 5
"""Bandwidths after which a kernel's weight is taken as 0."""
KERNEL_BLOCK = 64
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
    samples = float(counts[0].sum())
    prior = (counts[0].sum(0) / samples).to(torch.float32)[:, None]
    levels = [_Level(_neurons_last(counts), None if squared is None else _neurons_last(squared), prior, samples)]
    while levels[-1].bins > FEWEST_BINS:
        levels.append(levels[-1].halved())
    fits = [(levels[0], bandwidth) for bandwidth in FINE_BANDWIDTHS]
    fits += [(level, FINE_BANDWIDTHS[-1]) for level in levels[1:]]

    # Independence, which is not among the fits, is the one to beat: log-ratio 0 for every sample.
    likelihoods = [levels[0].independent() + ROUNDING]
    likelihoods += [level.likelihood(bandwidth) for level, bandwidth in fits]
    chosen = torch.stack(likelihoods).argmax(0)
    moments = torch.zeros(3, counts.shape[0], dtype=torch.float64, device=counts.device)
    for number, (level, bandwidth) in enumerate(fits, 1):
        neurons = (chosen == number).nonzero().flatten()
        if len(neurons):
            moments[:, neurons] = level.of(neurons).moments(bandwidth)
    resubstituted, left_out, square = moments / samples
    bits = (resubstituted + left_out) / 2
    # First order: the spread of the terms. Second order: a fit with v degrees of freedom overshoots by v / 2N nats in
    # resubstitution and undershoots as much left out, so their gap tells v, and v chi-square terms vary by 2v / 4N^2.
    gap = (resubstituted - left_out).clamp(min=(len(prior) - 1) / (samples * math.log(2)))
    variance = (square - bits.square()).clamp(min=0) / samples + gap / (2 * samples * math.log(2)) + (gap / 4).square()
    return bits, variance.sqrt()


def _neurons_last(counts: torch.Tensor) -> torch.Tensor:
    """`[bins, classes, neurons]` of `[neurons, bins, classes]`: every operation then runs along contiguous memory."""
    return counts.permute(1, 2, 0).to(torch.float32).contiguous()


@dataclass
class _Level:
    """
    Args:
        table (`torch.Tensor` of shape `[bins, classes, neurons]`): Samples.
        squares (`torch.Tensor` of the same shape, *optional*): Sums of squared soft labels.
        prior (`torch.Tensor` of shape `[classes, 1]`): p(class).
        samples (`float`): Samples of each neuron.
    """

    table: torch.Tensor
    squares: torch.Tensor | None
    prior: torch.Tensor
    samples: float

    @property
    def bins(self) -> int:
        return len(self.table)

    def _with(self, change: Callable[[torch.Tensor], torch.Tensor]) -> _Level:
        squares = None if self.squares is None else change(self.squares)
        return replace(self, table=change(self.table), squares=squares)

    def halved(self) -> _Level:
        """Neighbouring bins added up in pairs."""
        return self._with(lambda table: table.view(-1, 2, *table.shape[1:]).sum(1))

    def of(self, neurons: torch.Tensor) -> _Level:
        """The tables of some neurons."""
        return self._with(lambda table: table[:, :, neurons])

    def own(self) -> torch.Tensor:
        """What one sample adds to its own cell: 1, or on average its probability of the class."""
        return self.table.new_ones(1, 1, 1) if self.squares is None else self.squares / self.table.clamp(min=1e-30)

    def other_prior(self) -> torch.Tensor:
        """p(class) among the other samples, kept above 0 for a class of one sample."""
        return (self.prior * (self.samples + PSEUDO_COUNT) - self.own()) / (self.samples - 1 + PSEUDO_COUNT)

    def independent(self) -> torch.Tensor:
        """`[neurons]` log2-likelihood of the left-out labels if the neuron told nothing."""
        return (self.table * self.other_prior().log2()).sum((0, 1))

    def near(self, bandwidth: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples of each class nearby, weighted by the kernel, and the weight of a sample in its own bin."""
        if bandwidth == 0:
            return self.table.clone(), self.table.new_ones(self.bins, 1, 1)
        bins, columns = self.bins, self.table[0].numel()
        reach, block = min(bins, math.ceil(KERNEL_REACH * bandwidth)), min(bins, KERNEL_BLOCK)
        band, own_weight = reflected_gaussian(bins, bandwidth, reach, block, self.table.device)
        table = self.table.flatten(1)
        padded = torch.cat([table[:reach].flip(0), table, table[bins - reach :].flip(0)])
        windows = padded.as_strided((bins // block, block + 2 * reach, columns), (block * columns, columns, 1))
        return (band @ windows).view_as(self.table), own_weight

    def left_out(self, near: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """log2 p(class | bin) with each sample left out in turn, from what `near` gave, which it overwrites."""
        near_any = near.sum(1, keepdim=True).sub_(weight).clamp_(min=0).add_(PSEUDO_COUNT).log2_()
        near += PSEUDO_COUNT * self.other_prior() - weight * self.own()
        return near.clamp_(min=1e-12).log2_().sub_(near_any)

    def likelihood(self, bandwidth: float) -> torch.Tensor:
        """`[neurons]` log2-likelihood of the left-out labels."""
        return (self.table * self.left_out(*self.near(bandwidth))).sum((0, 1))

    def moments(self, bandwidth: float) -> torch.Tensor:
        """`[3, neurons]` sums over the samples: log-ratio in resubstitution, left out, and their mean squared."""
        near, weight = self.near(bandwidth)
        fit = (near + PSEUDO_COUNT * self.prior).log2() - (near.sum(1, keepdim=True) + PSEUDO_COUNT).log2()
        fit -= self.prior.log2()
        loo = self.left_out(near, weight) - self.other_prior().log2()
        terms = (fit, loo, ((fit + loo) / 2).square())
        return torch.stack([(self.table * term).sum(0).double().sum(0) for term in terms])


@lru_cache(maxsize=64)
def reflected_gaussian(
    bins: int, bandwidth: float, reach: int, block: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Weights exp(-d^2 / 2h^2) up to distance `reach`: as a band `[block, block + 2 * reach]` that is applied to block
    after block of bins; and the weight `[bins, 1, 1]` of a sample in its own bin, where its mirror images at the ends
    count too.
    """
    position = torch.arange(bins, device=device)
    distance = torch.arange(block + 2 * reach, device=device) - reach - position[:block, None]
    band = torch.where(distance.abs() <= reach, torch.exp(-0.5 * (distance / bandwidth) ** 2), 0.0)
    own = torch.ones(bins, device=device)
    for image in (2 * position + 1, 2 * (bins - position) - 1):
        own += torch.where(image <= reach, torch.exp(-0.5 * (image / bandwidth) ** 2), 0.0)
    return band, own[:, None, None]
