"""Reconstruction: the weights that read the kept units are refitted to compute nearly what they did before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from ...groups import Groups, linear_of
from ...groups.sharding import overwrite
from ...information.moments import Moments


@dataclass
class Refit:
    """
    New parameters of the consumers of groups.

    Args:
        weights (`dict[str, torch.Tensor]`): `[consumer's outputs, K]` by group; 0 in the columns of dropped units.
        biases (`dict[str, torch.Tensor]`): `[consumer's outputs]` by group.
    """

    weights: dict[str, torch.Tensor] = field(default_factory=dict)
    biases: dict[str, torch.Tensor] = field(default_factory=dict)

    def apply(self, model: nn.Module, groups: Groups) -> None:
        """Writes the parameters into `model`, in place; if it is sharded, to be called on every process."""
        for name, weight in self.weights.items():
            consumer = model.get_submodule(groups[name].consumer)
            overwrite(consumer, {"weight": weight, "bias": self.biases[name]})


@dataclass
class Reconstruction:
    """
    Makes up for dropped units by what the kept ones tell of them. What a consumer computes is refitted to what it
    computed before; no labels are used, and many selections share one pass over the rows.

    Args:
        network (`nn.Module`): The network before pruning.
        groups (`dict[str, PrunableGroup]`): Its groups.
        moments (`Mapping[str, Moments]`): Of their activations on training rows.
        kind (`str`): `"mean"` folds the dropped units' means into the consumer's bias; `"least_squares"` adds to the
            kept units' weights what ridge regression of the dropped units on the kept ones gives.
        ridge (`float`, *optional*, defaults to 1e-3): Ridge, as a fraction of the kept units' mean variance.
    """

    network: nn.Module
    groups: Groups
    moments: Mapping[str, Moments]
    kind: str
    ridge: float = 1e-3

    @torch.no_grad()
    def refit(self, kept: Mapping[str, torch.Tensor]) -> Refit:
        """The parameters that go with a bool mask `[K]` of the units kept, by group."""
        result = Refit()
        for name, mask in kept.items():
            linear = linear_of(self.network, self.groups[name].consumer)
            mean, covariance = self.moments[name].mean, self.moments[name].covariance
            index = mask.nonzero().flatten().to(mean.device)
            dropped = (~mask).nonzero().flatten().to(mean.device)
            weight = linear.weight.double()
            change = torch.zeros(len(weight), len(index)).to(weight)
            if self.kind == "least_squares":
                gram = covariance[index][:, index]
                # A floor for units that never fire: their rows are 0, and then so is their change.
                gram.diagonal().add_(self.ridge * gram.diagonal().mean().clamp(min=1e-30))
                change = torch.linalg.solve(gram, covariance[index][:, dropped] @ weight[:, dropped].t()).t()
            whole = torch.zeros_like(weight)
            whole[:, index] = weight[:, index] + change
            bias = linear.bias.double() + weight[:, dropped] @ mean[dropped] - change @ mean[index]
            result.weights[name] = whole.to(linear.weight.dtype)
            result.biases[name] = bias.to(linear.bias.dtype)
        return result
