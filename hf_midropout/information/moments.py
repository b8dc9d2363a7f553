"""Means and covariances of neurons, gathered in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import torch

from .checks import IGNORE_INDEX, check_batch, check_classes, check_labels, check_sizes, widened


class Moments(NamedTuple):
    """
    Args:
        mean (`torch.Tensor` of shape `[K]`): float64.
        covariance (`torch.Tensor` of shape `[K, K]`): float64.
    """

    mean: torch.Tensor
    covariance: torch.Tensor


class SecondMoments:
    """
    Sums of the values and products of K neurons, overall and, given labels, within classes: 8 K^2 bytes.

    Args:
        num_neurons (`int`): K.
        num_classes (`int`, *optional*): Number of classes C; labels are 0..C-1, and -100 marks a sample to leave out.
            Without it there are no labels, and every sample counts.
        device (`torch.device`, *optional*): Where the sums live; the device of the activations.
        exact (`bool`, *optional*, defaults to `True`): Multiplies in float64. Otherwise in the dtype of the
            activations, float32 at least, which is several times as fast; sums over batches are float64 in any case.
    """

    def __init__(
        self,
        num_neurons: int,
        num_classes: int | None = None,
        device: torch.device | str | None = None,
        exact: bool = True,
    ):
        check_sizes(num_neurons, 2 if num_classes is None else num_classes)
        self.num_classes = num_classes
        self.exact = exact
        # Sums are taken about the mean of the first batch: far from 0 their squares would eat the digits.
        self.origin: torch.Tensor | None = None
        self.per_class = torch.zeros(num_classes or 1, dtype=torch.float64, device=device)
        self.sums = torch.zeros(num_classes or 1, num_neurons, dtype=torch.float64, device=device)
        self.products = torch.zeros(num_neurons, num_neurons, dtype=torch.float64, device=device)

    @property
    def num_samples(self) -> int:
        """Samples that were counted."""
        return int(self.per_class.sum())

    def update(
        self, activations: torch.Tensor, labels: torch.Tensor | None = None, weights: torch.Tensor | None = None
    ) -> None:
        """
        Adds a batch of `[N, K]` activations and, if there are classes, `[N]` labels; without classes samples may have
        `[N]` weights of 0 or more.

        Raises:
            `ValueError`: for shapes that do not fit and for labels that are not classes.
        """
        values = widened(activations.detach())
        if self.num_classes is None:
            check_batch(activations, activations[:, :1] if activations.ndim == 2 else activations, len(self.products))
        else:
            if labels is None:
                raise ValueError(f"labels=None: needs a label for each sample, as num_classes={self.num_classes}.")
            check_batch(activations, labels, len(self.products))
            check_labels(labels, self.num_classes)
            kept = labels != IGNORE_INDEX
            values, labels = values[kept.to(values.device)], labels[kept].to(values.device)
        if len(values) == 0:
            return
        if self.exact:
            values = values.double()
        if self.origin is None:
            self.origin = values.mean(0)
        values = values - self.origin.to(values.dtype)
        weighted = values if weights is None else values * weights[:, None].to(values.dtype)
        if labels is None or self.num_classes is None:
            self.per_class += len(values) if weights is None else weights.sum().double()
            self.sums[0] += weighted.sum(0).double()
        else:
            one_hot = torch.nn.functional.one_hot(labels.long(), self.num_classes).double()
            self.per_class += one_hot.sum(0)
            self.sums += one_hot.t() @ values.double()
        if self.exact:
            self.products.addmm_(weighted.t(), values)
        else:
            self.products += (weighted.t() @ values).double()

    def merge(self, other: SecondMoments) -> None:
        """Adds the sums of `other`."""
        if other.origin is None:
            return
        if self.origin is None:
            self.origin = other.origin
        shift = other.origin.double() - self.origin.double()
        total = other.sums.sum(0)
        self.per_class += other.per_class
        self.sums += other.sums + other.per_class[:, None] * shift
        self.products += other.products + torch.outer(total, shift) + torch.outer(shift, total)
        self.products += other.per_class.sum() * torch.outer(shift, shift)

    def moments(self) -> Moments:
        """
        Mean and covariance of all samples.

        Raises:
            `ValueError`: if there are none.
        """
        samples, total = float(self.per_class.sum()), self.sums.sum(0)
        if self.origin is None:
            raise ValueError("There are no samples to take moments of.")
        return Moments(
            self.origin.double() + total / samples, self.products / samples - torch.outer(total, total) / samples**2
        )

    def covariances(self) -> tuple[torch.Tensor, torch.Tensor]:
        """
        `[K, K]` covariance of all samples, and the one within classes, pooled.

        Raises:
            `ValueError`: if there are not two classes.
        """
        samples = check_classes(self.per_class)
        present = self.per_class > 0
        total = self.moments().covariance
        offsets = self.sums[present] / self.per_class[present, None] - self.sums.sum(0) / samples
        between = (offsets.t() * self.per_class[present]) @ offsets / samples
        return total, total - between


class Variances:
    """
    Sums of the values and squares of K neurons, in float64.

    Args:
        num_neurons (`int`): K.
        device (`torch.device`, *optional*): Where the sums live.
    """

    def __init__(self, num_neurons: int, device: torch.device | str | None = None):
        self.samples = 0
        # As of [`SecondMoments`].
        self.origin: torch.Tensor | None = None
        self.sums = torch.zeros(num_neurons, dtype=torch.float64, device=device)
        self.squares = torch.zeros_like(self.sums)

    def update(self, activations: torch.Tensor) -> None:
        """Adds a batch of `[N, K]` activations."""
        values = widened(activations.detach())
        if len(values) == 0:
            return
        if self.origin is None:
            self.origin = values.mean(0)
        values = values - self.origin
        self.samples += len(values)
        self.sums += values.sum(0).double()
        self.squares += values.square().sum(0).double()

    @property
    def variance(self) -> torch.Tensor:
        """`[K]` float64, 0 or more."""
        return (self.squares / self.samples - (self.sums / self.samples).square()).clamp(min=0)


def moments_by_group(chunks: Iterable[dict[str, torch.Tensor]]) -> dict[str, Moments]:
    """Moments of each group's activations, given as `[rows, K]` by group for one chunk of rows after the other."""
    sums: dict[str, SecondMoments] = {}
    for chunk in chunks:
        for name, values in chunk.items():
            if name not in sums:
                sums[name] = SecondMoments(values.shape[1], device=values.device)
            sums[name].update(values)
    return {name: each.moments() for name, each in sums.items()}
