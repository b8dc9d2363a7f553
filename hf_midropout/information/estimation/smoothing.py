"""
Mutual information from counts that are smoothed along the ranks of a neuron.

A neuron's equal-mass bins are put in order, and the probability of each class is smoothed along them with a Gaussian
kernel. Each neuron weighs its own bandwidths by how likely they make the labels, each left out in turn. That is a
proper score, so a neuron that tells nothing prefers the flattest fit, independence, and scores 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from ..parallel import map_blocks
from .kernel import PSEUDO_COUNT, SmoothedTable


FINE_BANDWIDTHS = (0.0, 1.0, 2.0, 4.0)
"""In bins of the table as it comes. Wider kernels have width 4 on tables of half, a quarter, ... as many bins."""
FEWEST_BINS = 16
FEWEST_NEIGHBOURS = 1.5
"""Samples under a kernel. Of fewer, many stand alone, and left out they look like independence, at no cost."""
LIKELIHOOD_POWER = 0.5
"""A fit's weight is its left-out likelihood to this power: likelihoods are noisy themselves."""
NEGLIGIBLE = 0.01
BLOCK_CELLS = 2**19
"""Cells smoothed at once: temporaries of this size stay in a processor's cache."""


class Smoothed(NamedTuple):
    """
    Estimates for K neurons.

    Args:
        bits (`torch.Tensor` of shape `[K]`): Mutual information in bits; noise can take it a little below 0.
        stderr (`torch.Tensor` of shape `[K]`): Standard error of `bits`, in bits.
        wants_finer (`torch.Tensor` of shape `[K]`): bool; whether most weight is on the narrowest bandwidths, so that
            a table of more bins would tell more.
    """

    bits: torch.Tensor
    stderr: torch.Tensor
    wants_finer: torch.Tensor


def smoothed_information(
    counts: torch.Tensor,
    squared: torch.Tensor | None = None,
    copies: torch.Tensor | None = None,
    pseudo_count: float = PSEUDO_COUNT,
) -> Smoothed:
    """
    Mutual information as the mean over the samples of log2 p(class | bin) / p(class), halfway between the fit with and
    the fit without the sample itself, whose biases nearly cancel; averaged over bandwidths. Copies of a sample are
    left out with it, so that none tells the label of another; and all of them are one vote for a bandwidth, and one
    independent sample in the standard error.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, classes]`): Samples in equal-mass bins, in the order of the ranks;
            every neuron has the same number of samples of each class.
        squared (`torch.Tensor` of shape `[K, bins, classes]`, *optional*): For soft labels, whose probabilities
            `counts` adds up: the sum of their squares.
        copies (`torch.Tensor` of shape `[3, K, bins, classes]`, *optional*): Sums of `same`, `any` and `again` of
            [`Copies`], where rows were given more than once.
        pseudo_count (`float`, *optional*, defaults to 0.1): Samples of the overall class distribution that are added
            to every bin, so that no probability is 0.

    Returns:
        [`Smoothed`], in float64.
    """
    present = counts[0].sum(0) > 0
    if not present.all():  # else spare the copies
        counts = counts[:, :, present]
        squared = squared[:, :, present] if squared is not None else None
        copies = copies[..., present] if copies is not None else None
    neurons, bins, classes = counts.shape

    def smooth(rows: slice) -> Smoothed:
        squares = None if squared is None else squared[rows]
        of_copies = None if copies is None else copies[:, rows]
        # Under a caller's autocast the products would be in half precision, in which counts overflow.
        with torch.autocast(counts.device.type, enabled=False):
            return _smooth_block(SmoothedTable.of_counts(counts[rows], squares, of_copies, pseudo_count))

    if counts.is_cuda:
        return smooth(slice(None))
    parts = map_blocks(smooth, neurons, bins * classes, BLOCK_CELLS)
    return Smoothed(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _smooth_block(table: SmoothedTable) -> Smoothed:
    levels = [table]
    while levels[-1].bins > FEWEST_BINS:
        levels.append(levels[-1].halved())
    fits = [(table, bandwidth) for bandwidth in FINE_BANDWIDTHS]
    fits += [(level, FINE_BANDWIDTHS[-1]) for level in levels[1:]]
    fits = [(level, bandwidth) for level, bandwidth in fits if level.neighbours(bandwidth) >= FEWEST_NEIGHBOURS]
    fits = fits or [(levels[-1], FINE_BANDWIDTHS[-1])]  # of two samples

    # Independence, the first, has a log-ratio of 0 for every sample.
    gains = torch.stack([level.likelihood_ratio(bandwidth) for level, bandwidth in fits])
    weights = torch.cat([torch.zeros_like(gains[:1]), gains * (LIKELIHOOD_POWER * math.log(2))]).softmax(0)
    weights = torch.where(weights > NEGLIGIBLE, weights, 0.0)
    weights /= weights.sum(0)

    samples, classes = table.samples, len(table.prior)
    moments = torch.zeros(3, weights.shape[1], dtype=torch.float64, device=weights.device)
    squared_bits = torch.zeros_like(moments[0])
    for (level, bandwidth), weight in zip(fits, weights[1:], strict=True):
        neurons = weight.nonzero().flatten()
        if len(neurons):
            of_fit = level.of(neurons).moments(bandwidth) / samples
            moments[:, neurons] += weight[neurons] * of_fit
            squared_bits[neurons] += weight[neurons] * of_fit[:2].mean(0).square()
    resubstituted, left_out, square = moments
    bits = (resubstituted + left_out) / 2
    # First order: the spread of the terms. Second order: a fit with v degrees of freedom overshoots by v / 2N nats in
    # resubstitution and undershoots as much left out, so their gap tells v, and v chi-square terms vary by 2v / 4N^2.
    # Bias: the truth lies anywhere between the two, as far as is known.
    independent = table.independent
    gap = (resubstituted - left_out).clamp(min=(classes - 1) / (independent * math.log(2)))
    variance = (square - bits.square()).clamp(min=0) / independent + gap / (2 * independent * math.log(2))
    variance += gap.square() / 12
    variance += (squared_bits - bits.square()).clamp(min=0)  # of the fits among each other
    narrow = [level is table and bandwidth <= FINE_BANDWIDTHS[1] for level, bandwidth in fits]
    wants_finer = weights[1:][torch.tensor(narrow)].sum(0) > 0.5
    return Smoothed(bits, variance.sqrt(), wants_finer)
