"""Noise that depends on information: between a neuron and its input, its neighbours, or the label."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .base import Regularizer, regularizer


@regularizer("information")
class InformationDropout(Regularizer):
    """
    Information Dropout (Achille & Soatto, 2018, arXiv 1611.01353), which stands for the paper's "Probabilistic
    Dropout": y = f(x) exp(a e), e ~ N(0, 1), with a noise that is learned from the layer's inputs,
    a = 0.001 + a_max sigmoid(V x + c).

    The loss grows by w times the sum over kept neurons, mean over rows, of -log(a / (a_max + 0.001)): the information
    in nats that is let through, under a log-uniform prior. a_max is `rate`; w is `weight`, beta / N for N training
    rows as in the authors' code, with its beta = 3 and a_max = 0.7 for CIFAR.

    Attributes:
        scale (`nn.Linear`): V and c.
    """

    default_rate = 0.7
    rate_below = float("inf")
    rate_positive = True
    strength = 3.0
    shapes = {"scale.weight": (0, 1), "scale.bias": (0, None)}
    floor = 0.001

    def __init__(self, in_features: int, out_features: int, rate: float, weight: float = 0.0, samples: int = 1):
        super().__init__(in_features, out_features, rate, weight, samples)
        self.scale = nn.Linear(in_features, out_features)

    def regularize(self, neurons, inputs, mask, consumer):
        scale = self.floor + self.rate * torch.sigmoid(self.scale(inputs))
        nats = ((self.rate + self.floor) / scale).log() * mask
        return neurons * (scale * torch.randn_like(neurons)).exp(), self.weight * nats.sum(-1).mean()


@regularizer("info_drop")
class InfoDrop(Regularizer):
    """
    InfoDrop (Shi et al., 2020, arXiv 2008.04254) for dense layers: neurons whose value is like that of other rows say
    little about the row. For neuron k of row n, q = mean over 9 random rows j of exp(-d² / (2 h² mean d²)), where d is
    the difference of its values in n and j; r ∝ q^(1/T) over the kept neurons of the row. int(r0 K) draws with
    replacement from r are set to 0, the others are not scaled. r0 is `rate`, T = 0.03, h = 1.

    The original compares patches of an image. Its authors train on without it at the end.
    """

    default_rate = 1.5
    rate_below = float("inf")
    temperature = 0.03
    bandwidth = 1.0
    neighbours = 9

    def regularize(self, neurons, inputs, mask, consumer):
        draws = int(self.rate * neurons.shape[-1])
        if draws == 0:
            return neurons, None
        chosen = torch.multinomial(self.probabilities(neurons.detach(), mask), draws, replacement=True)
        # Of a layer with dropped neurons as many as of the narrower one without them; the others fall beside it.
        counts = torch.arange(draws, device=neurons.device) < (self.rate * mask.sum()).floor()
        chosen = torch.where(counts, chosen, neurons.shape[-1])
        left = torch.ones_like(functional.pad(neurons, (0, 1))).scatter(-1, chosen, 0.0)[..., :-1]
        return neurons * left, None

    def probabilities(self, neurons: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """r, `[rows, K]`: sums to 1 over the kept neurons of a row."""
        rows = len(neurons)
        others = torch.randint(rows, (rows, self.neighbours), device=neurons.device)
        squares = (neurons[:, None] - neurons[others]).float().square() * mask
        mean = squares.mean() * mask.numel() / mask.sum()
        # The logarithm of a mean of exponentials, up to a constant: neither is 0 where a row is far from all others.
        similar = (-squares / (2 * self.bandwidth**2 * mean.clamp(min=1e-30))).logsumexp(1)
        return (similar / self.temperature).masked_fill(~mask, -torch.inf).softmax(-1)


@regularizer("drop_mi")
class DropMI(Regularizer):
    """
    Dropout whose rate falls with the rank of a neuron's mutual information with the label (our reading of DropMI, Chen
    et al., 2019, doi 10.1016/j.neucom.2019.04.090, whose formula is not public): with the rank r_k from 0 (least bits)
    to 1 of the kept neurons of the layer, neuron k is kept with probability 1 - 2p (1 - r_k), but no less than 0.1, so
    that what is left is scaled at most tenfold. [`MIDropoutCallback`] gives it new bits after each epoch and each
    pruning step. Before the first, all ranks are 1/2, and it is dropout at rate p.

    Attributes:
        rank (`torch.Tensor` of shape `[K]`): r.
    """

    rank: torch.Tensor
    shapes = {"rank": (0, None)}
    least = 0.1

    def __init__(self, in_features: int, out_features: int, rate: float, weight: float = 0.0, samples: int = 1):
        super().__init__(in_features, out_features, rate, weight, samples)
        self.register_buffer("rank", torch.full((out_features,), 0.5))

    def noise(self, neurons: torch.Tensor) -> torch.Tensor:
        keep = (1 - 2 * self.rate * (1 - self.rank)).clamp(self.least, 1).to(neurons.dtype)
        return neurons * torch.bernoulli(keep.expand_as(neurons)) / keep

    @torch.no_grad()
    def set_information(self, bits: torch.Tensor, mask: torch.Tensor) -> None:
        """Takes over the ranks of `bits` `[K]` among the neurons that the bool `mask` `[K]` keeps."""
        self.rank.copy_(ranks(bits.to(mask.device), mask))

    def reset(self, init) -> None:
        init.constant_(self.rank, 0.5)


def ranks(bits: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """
    `[..., K]` ranks of `bits` from 0 to 1 among the neurons that the bool `mask` keeps; equal bits share theirs, and
    a neuron that is alone, or not kept, has 1/2.
    """
    below = ((bits[..., None, :] < bits[..., :, None]) & mask[..., None, :]).sum(-1)
    equal = ((bits[..., None, :] == bits[..., :, None]) & mask[..., None, :]).sum(-1)
    kept = mask.sum(-1, keepdim=True)
    found = (below + (equal - 1) / 2) / (kept - 1).clamp(min=1)
    return torch.where(mask & (kept > 1), found, 0.5)
