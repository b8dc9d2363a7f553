"""Tables of (bin, class) smoothed along the bins, with and without the sample that is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch


PSEUDO_COUNT = 0.1
"""Samples of the overall class distribution that are added to every bin, so that no probability is 0."""
KERNEL_REACH = 5
"""Bandwidths after which a kernel's weight is taken as 0."""
KERNEL_BLOCK = 16
"""Bins that one band is applied to at once: the longer, the more of the band is 0."""


@dataclass
class SmoothedTable:
    """
    Contingency tables of some neurons; bandwidths are in bins.

    Args:
        table (`torch.Tensor` of shape `[bins, classes, neurons]`): Samples.
        squares (`torch.Tensor` of the same shape, *optional*): Sums over the samples of what leaves the class together
            with a sample, all its copies, times what the sample itself has of the class: soft labels squared, or the
            number of copies. Without it each sample is alone in having all of one class.
        any_squares (`torch.Tensor` of the same shape, *optional*): The same of what leaves the bin, over all classes.
        votes (`torch.Tensor` of the same shape, *optional*): Samples, of which all copies of a row are one, in the
            shares that the classes have with them: what the choice of a bandwidth goes by. The samples without copies.
        prior (`torch.Tensor` of shape `[classes, 1]`): p(class).
        samples (`float`): Samples of each neuron.
        independent (`float`): As many samples as would tell as much, were there no copies.
        pseudo_count (`float`): Samples of the overall class distribution that are added to every bin.
    """

    table: torch.Tensor
    squares: torch.Tensor | None
    any_squares: torch.Tensor | None
    votes: torch.Tensor | None
    prior: torch.Tensor
    samples: float
    independent: float
    pseudo_count: float = PSEUDO_COUNT

    @classmethod
    def of_counts(
        cls,
        counts: torch.Tensor,
        squared: torch.Tensor | None = None,
        copies: torch.Tensor | None = None,
        pseudo_count: float = PSEUDO_COUNT,
    ) -> SmoothedTable:
        """
        From `[neurons, bins, classes]` counts, sums of squares if they are of soft labels, and `[3, neurons, bins,
        classes]` sums of `same`, `any` and `again` of [`Copies`] if there are copies.
        """
        samples = float(counts[0].sum())
        prior = (counts[0].sum(0) / samples).to(torch.float32)[:, None]
        parts, independent = [counts, squared, None, None], samples
        if copies is not None:
            same, of_any, again = copies
            distinct = counts - again
            copied = counts[0].sum(0).double() / distinct[0].sum(0)
            # Of weighted samples, those that tell as much as equal ones: the sum squared over the sum of squares.
            independent = samples**2 / float((counts[0].sum(0) * copied).sum())
            votes = distinct * (copied * (independent / samples))
            pseudo_count *= samples / independent  # or copies of all rows would leave less of it
            parts = [counts, (counts if squared is None else squared) + same, counts + of_any, votes]
        squares, any_squares, votes = [None if part is None else _neurons_last(part) for part in parts[1:]]
        return cls(_neurons_last(counts), squares, any_squares, votes, prior, samples, independent, pseudo_count)

    @property
    def bins(self) -> int:
        return len(self.table)

    def _with(self, change: Callable[[torch.Tensor], torch.Tensor]) -> SmoothedTable:
        def changed(part: torch.Tensor | None) -> torch.Tensor | None:
            return None if part is None else change(part)

        return replace(
            self,
            table=change(self.table),
            squares=changed(self.squares),
            any_squares=changed(self.any_squares),
            votes=changed(self.votes),
        )

    def halved(self) -> SmoothedTable:
        """Neighbouring bins added up in pairs."""
        return self._with(lambda table: table.view(-1, 2, *table.shape[1:]).sum(1))

    def of(self, neurons: torch.Tensor) -> SmoothedTable:
        """The tables of some neurons."""
        return self._with(lambda table: table[:, :, neurons])

    def own(self) -> torch.Tensor:
        """What a sample and its copies add to their cell, on average: 1, or a probability of the class."""
        return self.table.new_ones(1, 1, 1) if self.squares is None else self.squares / self.table.clamp(min=1e-30)

    def own_of_any(self) -> torch.Tensor | float:
        """What a sample and its copies add to all cells of their bin, on average."""
        return 1.0 if self.any_squares is None else self.any_squares / self.table.clamp(min=1e-30)

    def other_prior(self) -> torch.Tensor:
        """p(class) among the other samples, kept above 0 for a class of one sample."""
        others = self.prior * (self.samples + self.pseudo_count) - self.own()
        if self.any_squares is None:
            return others / (self.samples - 1 + self.pseudo_count)
        # Of averages over a cell, and of large numbers in float32: either can fall below what is there.
        least = self.pseudo_count * self.prior
        return torch.maximum(others, least) / (self.samples - self.own_of_any() + self.pseudo_count)

    def neighbours(self, bandwidth: float) -> float:
        """Samples under a kernel, in effect."""
        return max(1.0, math.sqrt(2 * math.pi) * bandwidth) * self.independent / self.bins

    def near(self, bandwidth: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples of each class nearby, weighted by the kernel, and the weight of a sample in its own bin."""
        if bandwidth == 0:
            return self.table.clone(), self.table.new_ones(self.bins, 1, 1)
        bins, columns = self.bins, self.table[0].numel()
        reach, block = min(bins, math.ceil(KERNEL_REACH * bandwidth)), min(bins, KERNEL_BLOCK)
        band, own_weight = reflected_gaussian(bins, bandwidth, reach, block, self.table.device)
        # On a GPU in float64: there float32 may be TF32, if the caller says so, which keeps 10 bits of a weight.
        precision = torch.float64 if self.table.is_cuda else self.table.dtype
        table = self.table.flatten(1).to(precision)
        padded = torch.cat([table[:reach].flip(0), table, table[bins - reach :].flip(0)])
        windows = padded.as_strided((bins // block, block + 2 * reach, columns), (block * columns, columns, 1))
        # Not `band @ windows`, which copies the overlapping windows.
        near = torch.bmm(band.to(precision).expand(len(windows), -1, -1), windows)
        return near.view_as(self.table).to(self.table.dtype), own_weight

    def left_out(self, near: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """
        log2 p(class | bin) with each sample left out in turn together with its copies, from what `near` gave, which it
        overwrites.
        """
        near_any = near.sum(1, keepdim=True)
        if self.any_squares is None:
            near_any = near_any.sub_(weight).clamp_(min=0).add_(self.pseudo_count).log2_()
            near += self.pseudo_count * self.other_prior() - weight * self.own()
            return near.clamp_(min=1e-12).log2_().sub_(near_any)
        near -= weight * self.own()
        near = near.clamp_(min=0).add_(self.pseudo_count * self.other_prior())
        # With averages over a cell, more may seem to be left of the class than of all.
        near_any = (near_any - weight * self.own_of_any()).clamp_(min=0).add_(self.pseudo_count)
        return (near / torch.maximum(near, near_any)).log2_()

    def likelihood_ratio(self, bandwidth: float) -> torch.Tensor:
        """`[neurons]` log2-likelihood of the left-out labels, all copies one vote, over that of no information."""
        gain = self.left_out(*self.near(bandwidth)).sub_(self.other_prior().log2())
        return gain.mul_(self.table if self.votes is None else self.votes).sum(0).double().sum(0)

    def moments(self, bandwidth: float) -> torch.Tensor:
        """
        `[3, neurons]` sums over the samples: log-ratio in resubstitution, left out, and their mean squared; with
        copies, the last is such that the variance that comes of it is that of a mean over groups of copies.
        """
        near, weight = self.near(bandwidth)
        fit = (near + self.pseudo_count * self.prior).log2() - (near.sum(1, keepdim=True) + self.pseudo_count).log2()
        fit -= self.prior.log2()
        loo = self.left_out(near, weight) - self.other_prior().log2()
        terms = (fit, loo, ((fit + loo) / 2).square())
        sums = torch.stack([(self.table * term).sum(0).double().sum(0) for term in terms])
        if self.votes is not None and self.squares is not None:
            mean = sums[:2].sum(0) / (2 * self.samples)
            deviation = ((fit + loo) / 2 - mean.float()).square_().mul_(self.squares).sum(0).double().sum(0)
            sums[2] = deviation * (self.independent / self.samples) + mean.square() * self.samples
        return sums


@lru_cache(maxsize=64)
def reflected_gaussian(
    bins: int, bandwidth: float, reach: int, block: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Weights exp(-d^2 / 2h^2) up to distance `reach`: as a band `[block, block + 2 * reach]` that is applied to block
    after block of bins; and the weight `[bins, 1, 1]` of a sample in its own bin, where its mirror images at the ends
    count too.
    """
    position = torch.arange(bins, device=device)
    distance = torch.arange(block + 2 * reach, device=device) - reach - position[:block, None]
    band = torch.where(distance.abs() <= reach, torch.exp(-0.5 * (distance / bandwidth) ** 2), 0.0)
    own = torch.ones(bins, device=device)
    for image in (2 * position + 1, 2 * (bins - position) - 1):
        own += torch.where(image <= reach, torch.exp(-0.5 * (image / bandwidth) ** 2), 0.0)
    return band, own[:, None, None]


def _neurons_last(counts: torch.Tensor) -> torch.Tensor:
    """`[bins, classes, neurons]` of `[neurons, bins, classes]`: every operation then runs along contiguous memory."""
    # As a matrix and in one dtype: torch transposes that faster than it permutes.
    return counts.flatten(1).to(torch.float32).t().contiguous().view(*counts.shape[1:], len(counts))
