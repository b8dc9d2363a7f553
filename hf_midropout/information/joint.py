"""What sets of neurons know together: neurons that repeat each other add up to little."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from .checks import IGNORE_INDEX, check_batch, check_classes, check_labels, check_sizes, widened


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


class SecondMoments:
    """
    Means and covariances of K neurons, overall and within classes, gathered in one pass in float64: 8 K^2 bytes.

    Args:
        num_neurons (`int`): K.
        num_classes (`int`): Number of classes C; labels are 0..C-1, and -100 marks a sample to leave out.
        device (`torch.device`, *optional*): Where the sums live; the device of the activations.
    """

    def __init__(self, num_neurons: int, num_classes: int, device: torch.device | str | None = None):
        check_sizes(num_neurons, num_classes)
        self.num_classes = num_classes
        # Sums are taken about the mean of the first batch: far from 0 their squares would eat the digits.
        self.origin: torch.Tensor | None = None
        self.per_class = torch.zeros(num_classes, dtype=torch.float64, device=device)
        self.sums = torch.zeros(num_classes, num_neurons, dtype=torch.float64, device=device)
        self.products = torch.zeros(num_neurons, num_neurons, dtype=torch.float64, device=device)

    def update(self, activations: torch.Tensor, labels: torch.Tensor) -> None:
        """
        Adds a batch of `[N, K]` activations and `[N]` labels.

        Raises:
            `ValueError`: for shapes that do not fit and for labels that are not classes.
        """
        check_batch(activations, labels, len(self.products))
        check_labels(labels, self.num_classes)
        kept = labels != IGNORE_INDEX
        values = widened(activations.detach())[kept.to(activations.device)].double()
        labels = labels[kept].to(values.device)
        if len(values) == 0:
            return
        if self.origin is None:
            self.origin = values.mean(0)
        values = values - self.origin
        one_hot = torch.nn.functional.one_hot(labels.long(), self.num_classes).double()
        self.per_class += one_hot.sum(0)
        self.sums += one_hot.t() @ values
        self.products += values.t() @ values

    def merge(self, other: SecondMoments) -> None:
        """Adds the sums of `other`."""
        if other.origin is None:
            return
        if self.origin is None:
            self.origin = other.origin
        shift = other.origin - self.origin
        total = other.sums.sum(0)
        self.per_class += other.per_class
        self.sums += other.sums + other.per_class[:, None] * shift
        self.products += other.products + torch.outer(total, shift) + torch.outer(shift, total)
        self.products += other.per_class.sum() * torch.outer(shift, shift)

    def covariances(self) -> tuple[torch.Tensor, torch.Tensor]:
        """
        `[K, K]` covariance of all samples, and the one within classes, pooled.

        Raises:
            `ValueError`: if there are not two classes.
        """
        samples = check_classes(self.per_class)
        present = self.per_class > 0
        mean = self.sums.sum(0) / samples
        total = self.products / samples - torch.outer(mean, mean)
        offsets = self.sums[present] / self.per_class[present, None] - mean
        between = (offsets.t() * self.per_class[present]) @ offsets / samples
        return total, total - between


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
