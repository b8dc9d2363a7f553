"""Refits the weights that read the kept neurons, so that the pruned head computes nearly what the dense one did."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .choices import COMPENSATIONS as COMPENSATIONS
from .head import next_linears
from .moments import Moments
from .sharding import overwrite


@dataclass
class Refit:
    """
    New parameters of the linear maps that read the neurons.

    Args:
        weights (`list[torch.Tensor]`): `[next width, K]` per layer of K neurons; 0 in the columns of dropped ones.
        biases (`list[torch.Tensor]`): `[next width]` per layer.
    """

    weights: list[torch.Tensor]
    biases: list[torch.Tensor]

    def apply(self, head: nn.Module) -> None:
        """Writes the parameters into `head`, in place; if it is sharded, to be called on every process."""
        for linear, weight, bias in zip(next_linears(head), self.weights, self.biases, strict=True):
            overwrite(linear, {"weight": weight, "bias": bias})


@dataclass
class Compensation:
    """
    Makes up for dropped neurons by what the kept ones tell of them. The next layer's pre-activations are refitted to
    those of the dense head; no labels are used, and many selections share one pass over the rows.

    Args:
        head (`nn.Module`): The masked head before pruning.
        moments ([`Moments`]): Of its activations on training rows.
        kind (`str`): `"mean"` folds the dropped neurons' means into the next bias; `"least_squares"` adds to the kept
            neurons' weights what ridge regression of the dropped neurons on the kept ones gives.
        ridge (`float`, *optional*, defaults to 1e-3): Ridge, as a fraction of the kept neurons' mean variance.
    """

    head: nn.Module
    moments: Moments
    kind: str
    ridge: float = 1e-3

    @torch.no_grad()
    def refit(self, kept: list[torch.Tensor]) -> Refit:
        """The parameters that go with bool masks `[K]` of the neurons kept in each layer."""
        result = Refit([], [])
        linears = next_linears(self.head)
        layers = zip(linears, kept, self.moments.means, self.moments.covariances, strict=True)
        for linear, mask, mean, covariance in layers:
            index = mask.nonzero().flatten().to(mean.device)
            dropped = (~mask).nonzero().flatten().to(mean.device)
            weight = linear.weight.double()
            change = torch.zeros(len(weight), len(index)).to(weight)
            if self.kind == "least_squares":
                gram = covariance[index][:, index]
                # A floor for neurons that never fire: their rows are 0, and then so is their change.
                gram.diagonal().add_(self.ridge * gram.diagonal().mean().clamp(min=1e-30))
                change = torch.linalg.solve(gram, covariance[index][:, dropped] @ weight[:, dropped].t()).t()
            whole = torch.zeros_like(weight)
            whole[:, index] = weight[:, index] + change
            bias = linear.bias.double() + weight[:, dropped] @ mean[dropped] - change @ mean[index]
            result.weights.append(whole.to(linear.weight.dtype))
            result.biases.append(bias.to(linear.bias.dtype))
        return result
