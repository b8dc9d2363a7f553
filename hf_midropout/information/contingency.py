"""Mutual information from contingency tables: how often each bin of a neuron met each class."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch


class MutualInformation(NamedTuple):
    """
    Estimates for K neurons.

    Args:
        bits (`torch.Tensor` of shape `[K]`): Mutual information with the label in bits, 0 <= bits <= label_entropy.
        stderr (`torch.Tensor` of shape `[K]`): Standard error of `bits`, in bits.
        p_value (`torch.Tensor` of shape `[K]`): Probability of so large a value if neuron and label were independent.
        label_entropy (`float`): Entropy of the label in bits, the ceiling of `bits`.
        num_samples (`int`): Number of labelled samples behind the estimates.
    """

    bits: torch.Tensor
    stderr: torch.Tensor
    p_value: torch.Tensor
    label_entropy: float
    num_samples: int


def entropy(counts: torch.Tensor) -> torch.Tensor:
    """Plug-in entropy in bits over the last dimension of non-negative `counts`."""
    probabilities = counts / counts.sum(-1, keepdim=True)
    return -torch.special.xlogy(probabilities, probabilities).sum(-1) / math.log(2)


def mutual_information_from_counts(counts: torch.Tensor) -> MutualInformation:
    """
    Plug-in mutual information I = H(bin) - H(bin | class) (eq. 2 of the paper) with the Miller-Madow correction: each
    of the three entropies is raised by (occupied cells - 1) / 2N, which removes the leading term of the bias (Miller
    1955; Roulston 1999). The p-value is that of the G-test on the occupied rows and columns.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, classes]`): Integer counts; every neuron has the same total N.

    Returns:
        [`MutualInformation`]
    """
    counts = counts.to(torch.float64)
    total = int(counts[0].sum().item())
    joint = counts / total
    bins, classes = joint.sum(2, keepdim=True), joint.sum(1, keepdim=True)
    # Pointwise mutual information of each cell; an empty cell has weight 0 whatever its logarithm.
    pointwise = torch.where(joint > 0, torch.log2(joint / (bins * classes)), 0.0)
    plug_in = (joint * pointwise).sum((1, 2))
    variance = (joint * pointwise.square()).sum((1, 2)) - plug_in.square()

    occupied_bins, occupied_classes = (bins > 0).sum((1, 2)), (classes > 0).sum((1, 2))
    occupied_cells = (joint > 0).sum((1, 2))
    bias = (occupied_cells - occupied_bins - occupied_classes + 1) / (2 * total * math.log(2))
    label_entropy = float(entropy(classes[0].flatten()))

    degrees_of_freedom = (occupied_bins - 1) * (occupied_classes - 1)
    g_statistic = 2 * total * math.log(2) * plug_in.clamp(min=0)
    p_value = torch.special.gammaincc(degrees_of_freedom.clamp(min=1) / 2, g_statistic / 2)
    return MutualInformation(
        bits=(plug_in - bias).clamp(0.0, label_entropy),
        stderr=(variance.clamp(min=0) / total).sqrt(),
        p_value=torch.where(degrees_of_freedom > 0, p_value, 1.0),
        label_entropy=label_entropy,
        num_samples=total,
    )
