"""What sets of neurons know together: neurons that repeat each other add up to little."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch


BLOCK = 64
"""Neurons chosen between two updates of the Schur complements."""


class JointSelection(NamedTuple):
    """
    Neurons in the order in which a greedy selection takes them.

    Args:
        order (`torch.Tensor` of shape `[K]`): Neuron numbers, the first one taken first.
        bits (`torch.Tensor` of shape `[K]`): Joint Gaussian information, in bits, of the first, the first two, ...
    """

    order: torch.Tensor
    bits: torch.Tensor


def greedy_log_determinant(total: torch.Tensor, within: torch.Tensor, ridge: float = 1e-4) -> JointSelection:
    """
    Orders all neurons so that each adds the most joint information about the label to those before it. For Gaussian
    activations of one covariance in all classes, the information of a set is half the log-ratio of the determinants of
    its covariance overall and within classes.

    Args:
        total (`torch.Tensor` of shape `[K, K]`): Covariance of all samples.
        within (`torch.Tensor` of shape `[K, K]`): Covariance within classes, pooled.
        ridge (`float`, *optional*, defaults to 1e-4): Fraction of each neuron's variance that counts as noise, so that
            copies of a neuron add next to nothing.

    Returns:
        [`JointSelection`]
    """
    neurons = len(total)
    variance = total.diagonal().clamp(min=0)
    scale = torch.where(variance > 0, variance, 1.0).rsqrt().double()
    identity = torch.eye(neurons, dtype=torch.float64, device=total.device)
    matrices = [matrix.double() * scale[:, None] * scale + ridge * identity for matrix in (total, within)]
    residual = [matrix.diagonal().clone() for matrix in matrices]
    taken = torch.zeros(neurons, dtype=torch.bool, device=total.device)
    order, bits = [], []
    information = 0.0
    for start in range(0, neurons, BLOCK):
        steps = min(BLOCK, neurons - start)
        factors = [matrix.new_zeros(steps, neurons) for matrix in matrices]
        for step in range(steps):
            # Conditional on those taken: the diagonals of the Schur complements, from an incomplete Cholesky factor.
            gains = 0.5 * (residual[0].clamp(min=ridge / 2) / residual[1].clamp(min=ridge / 2)).log2()
            chosen = int(torch.where(taken, -torch.inf, gains).argmax())
            information += float(gains[chosen])
            order.append(chosen)
            bits.append(information)
            taken[chosen] = True
            for matrix, factor, rest in zip(matrices, factors, residual, strict=True):
                pivot = math.sqrt(max(float(rest[chosen]), ridge / 2))
                factor[step] = (matrix[chosen] - factor[:step, chosen] @ factor[:step]) / pivot
                rest -= factor[step].square()
        for matrix, factor in zip(matrices, factors, strict=True):
            # Once in a block: a product of matrices is far faster than as many of vectors.
            matrix -= factor.t() @ factor
    return JointSelection(torch.tensor(order), torch.tensor(bits, dtype=torch.float64))
