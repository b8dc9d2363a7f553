"""Means and covariances of the head's activations."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from .head import layer_inputs


@dataclass
class Moments:
    """
    Args:
        means (`list[torch.Tensor]`): `[K]` float64 per layer of K neurons.
        covariances (`list[torch.Tensor]`): `[K, K]` float64 per layer.
    """

    means: list[torch.Tensor]
    covariances: list[torch.Tensor]

    @classmethod
    @torch.no_grad()
    def of_head(cls, head: nn.Module, hidden_states: torch.Tensor, chunk: int = 4096) -> Moments:
        """Moments over rows `[N, hidden_size]` of the head's input, in one pass by chunks."""
        rows = len(hidden_states)
        # About the mean of the first rows: far from 0, squares would eat the digits.
        origins = [values.double().mean(0) for values in layer_inputs(head, hidden_states[:chunk])[1:]]
        sums = [torch.zeros_like(origin) for origin in origins]
        products = [torch.zeros(len(origin), len(origin)).to(origin) for origin in origins]
        for part in hidden_states.split(chunk):
            for index, values in enumerate(layer_inputs(head, part)[1:]):
                centred = values.double() - origins[index]
                sums[index] += centred.sum(0)
                products[index].addmm_(centred.t(), centred)
        return cls(
            [origin + total / rows for origin, total in zip(origins, sums, strict=True)],
            [
                product / rows - torch.outer(total, total) / rows**2
                for product, total in zip(products, sums, strict=True)
            ],
        )
