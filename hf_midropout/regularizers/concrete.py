"""Concrete Dropout: the rate is learned."""

from __future__ import annotations

import math

import torch
from torch import nn

from .base import Regularizer, regularizer


@regularizer("concrete")
class ConcreteDropout(Regularizer):
    """
    Concrete Dropout (Gal, Hron & Kendall, 2017, arXiv 1705.07832): dropout with a relaxed mask, so that the rate p of
    the layer can be learned. z = sigmoid((logit p + logit u) / t), u ~ U(0, 1), t = 0.1; y = x (1 - z) / (1 - p).

    The loss grows by w (l² / 2 ||W||² / (1 - p) - K H(p)), the divergence from the prior up to a constant. W are the
    weights that read the layer: with the factor 1 / (1 - p) above, M = W / (1 - p) are the paper's, and this is its
    l² (1 - p) / 2 ||M||². K is the number of kept neurons, H(p) the entropy of a coin in nats. w is `weight`, 1 / N
    for N training rows and a loss in nats; l = 1e-4 as in the authors' code. p begins at `rate`.

    Attributes:
        logit (`nn.Parameter` of shape `[1]`): logit p.
    """

    default_rate = 0.1
    rate_positive = True
    strength = 1.0
    temperature = 0.1
    length_scale = 1e-4
    epsilon = 1e-7

    def __init__(self, in_features: int, out_features: int, rate: float, weight: float = 0.0, samples: int = 1):
        super().__init__(in_features, out_features, rate, weight, samples)
        self.logit = nn.Parameter(torch.empty(1))
        self.reset(nn.init)

    def regularize(self, neurons, inputs, mask, consumer):
        rate = torch.sigmoid(self.logit)
        uniform = torch.rand_like(neurons).clamp(self.epsilon, 1 - self.epsilon)
        drop = torch.sigmoid((self.logit + uniform.log() - (-uniform).log1p()) / self.temperature)
        return neurons * (1 - drop) / (1 - rate), self.weight * self.divergence(mask, consumer)

    def divergence(self, mask: torch.Tensor, consumer: nn.Linear) -> torch.Tensor:
        """From the prior, in nats, up to a constant."""
        rate = torch.sigmoid(self.logit)
        entropy = -rate * nn.functional.logsigmoid(self.logit) - (1 - rate) * nn.functional.logsigmoid(-self.logit)
        squares = (consumer.weight.square() * mask).sum()
        return (self.length_scale**2 / 2 * squares / (1 - rate) - mask.sum() * entropy).squeeze()

    def reset(self, init) -> None:
        init.constant_(self.logit, math.log(self.rate / (1 - self.rate)))
