"""A regression from sums over rows: how the weights that read some units are to change."""

from __future__ import annotations

import torch
from torch import nn


RIDGE = 1e-3
"""Of the mean variance of the kept units."""
FEW_ROWS = 4
"""Rows for each weight of a neuron, below which more ridge is taken, in inverse proportion."""


class NormalEquations:
    """
    Sums for a regression of `[rows, outputs]` targets on `[rows, K]` units with a bias.

    Args:
        units, outputs (`int`): Their numbers.
        device (`torch.device`): Where the sums live.
    """

    def __init__(self, units: int, outputs: int, device: torch.device):
        self.squared_weights = torch.zeros((), dtype=torch.float64, device=device)
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.units = torch.zeros(units, dtype=torch.float64, device=device)
        self.targets = torch.zeros(outputs, dtype=torch.float64, device=device)
        self.gram = torch.zeros(units, units, dtype=torch.float64, device=device)
        self.cross = torch.zeros(units, outputs, dtype=torch.float64, device=device)
        self.squares = torch.zeros((), dtype=torch.float64, device=device)

    def update(self, units: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> None:
        """Adds rows; `weights` `[rows]` say how much each counts."""
        weighted = units if weights is None else units * weights[:, None]
        self.total += len(units) if weights is None else weights.sum().double()
        self.squared_weights += len(units) if weights is None else weights.square().sum().double()
        self.units += weighted.sum(0).double()
        scaled = targets if weights is None else targets * weights[:, None]
        self.targets += scaled.sum(0).double()
        self.gram += (weighted.t() @ units).double()
        self.cross += (weighted.t() @ targets).double()
        self.squares += (scaled * targets).sum().double()

    @property
    def mean_square(self) -> float:
        """Of the targets."""
        return float((self.squares / self.total).clamp(min=1e-30))

    @property
    def effective_rows(self) -> float:
        """Rows of equal weights that would tell as much (Kish, 1965)."""
        return float(self.total.square() / self.squared_weights.clamp(min=1e-30))

    def __add__(self, other: NormalEquations) -> NormalEquations:
        """Of the rows of both."""
        units, outputs = self.cross.shape
        result = NormalEquations(units, outputs, self.cross.device)
        for name, own in vars(self).items():
            setattr(result, name, own + getattr(other, name))
        return result

    def solve(self, bias: bool = True, ridge: float = RIDGE) -> tuple[torch.Tensor, torch.Tensor]:
        """
        Ridge regression with an unpenalised bias, or with none.

        Returns:
            `tuple[torch.Tensor, torch.Tensor]`: coefficients `[K, outputs]` and biases `[outputs]`.
        """
        mean, target_mean = self.units / self.total, self.targets / self.total
        if not bias:
            mean, target_mean = torch.zeros_like(mean), torch.zeros_like(target_mean)
        gram = self.gram / self.total - torch.outer(mean, mean)
        cross = self.cross / self.total - torch.outer(mean, target_mean)
        ridge *= max(1.0, FEW_ROWS * len(gram) / max(self.effective_rows, 1.0))
        penalised = gram.clone()
        # A floor for units that never fire: their rows are 0, and then so are their coefficients.
        penalised.diagonal().add_(ridge * gram.diagonal().mean().clamp(min=1e-30))
        coefficients = torch.linalg.solve(penalised, cross)
        return coefficients, target_mean - mean @ coefficients

    def mean_square_left(self, coefficients: torch.Tensor, biases: torch.Tensor) -> float:
        """Mean square of the targets less `units @ coefficients + biases`, of whatever rows these were fitted to."""
        left = self.squares + self.total * biases.square().sum() - 2 * biases @ self.targets
        left += 2 * (biases * (self.units @ coefficients)).sum() - 2 * (coefficients * self.cross).sum()
        left += (coefficients * (self.gram @ coefficients)).sum()
        return float(left / self.total)


def refit(consumer: nn.Linear, fitted: NormalEquations, held_out: NormalEquations) -> tuple[float, float]:
    """
    Adds to the weights of `consumer` what all rows say.

    Returns:
        `tuple[float, float]`: mean squares of what was to be made good in `held_out` rows, before and after a fit to
        the `fitted` ones alone; without such rows, of all.
    """
    bias = consumer.bias is not None
    every = fitted + held_out
    coefficients, biases = every.solve(bias)
    consumer.weight.copy_(consumer.weight.double() + coefficients.t())
    if bias:
        consumer.bias.copy_(consumer.bias.double() + biases)
    if fitted.total > 0 and held_out.total > 0:
        return held_out.mean_square, held_out.mean_square_left(*fitted.solve(bias))
    return every.mean_square, every.mean_square_left(coefficients, biases)
