"""Means and covariances of the activations of a group's units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch


@dataclass
class Moments:
    """
    Args:
        mean (`torch.Tensor` of shape `[K]`): float64.
        covariance (`torch.Tensor` of shape `[K, K]`): float64.
    """

    mean: torch.Tensor
    covariance: torch.Tensor


def moments_by_group(chunks: Iterable[dict[str, torch.Tensor]]) -> dict[str, Moments]:
    """Moments of each group's activations, given as `[rows, K]` by group for one chunk of rows after the other."""
    origins: dict[str, torch.Tensor] = {}
    sums: dict[str, torch.Tensor] = {}
    products: dict[str, torch.Tensor] = {}
    rows = 0
    for chunk in chunks:
        for name, values in chunk.items():
            wide = values.double()
            if name not in origins:
                # About the mean of the first rows: far from 0, squares would eat the digits.
                origins[name] = wide.mean(0)
                sums[name] = torch.zeros_like(origins[name])
                products[name] = torch.zeros(len(origins[name]), len(origins[name])).to(origins[name])
            centred = wide - origins[name]
            sums[name] += centred.sum(0)
            products[name].addmm_(centred.t(), centred)
        rows += len(next(iter(chunk.values())))
    return {
        name: Moments(
            origin + sums[name] / rows,
            products[name] / rows - torch.outer(sums[name], sums[name]) / rows**2,
        )
        for name, origin in origins.items()
    }
