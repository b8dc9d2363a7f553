"""Contingency tables: how often each bin of a neuron met each class."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from ..copies import DISCRETE, FREQUENT, PURE


class MutualInformation(NamedTuple):
    """
    Estimates for K neurons.

    Args:
        bits (`torch.Tensor` of shape `[K]`): Mutual information with the label in bits, 0 <= bits <= label_entropy.
        stderr (`torch.Tensor` of shape `[K]`): Standard error of `bits`, in bits.
        p_value (`torch.Tensor` of shape `[K]`): Probability of so strong a dependence if there were none.
        label_entropy (`float`): Entropy of the label in bits, the ceiling of `bits`.
        num_samples (`int`): Number of labelled samples behind the estimates.
    """

    bits: torch.Tensor
    stderr: torch.Tensor
    p_value: torch.Tensor
    label_entropy: float
    num_samples: int


class Table(NamedTuple):
    """
    Counts of K neurons, and of copies where there are any.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, C]`): Samples.
        copies (`torch.Tensor` of shape `[3, K, bins, C]`, *optional*): Sums of `same`, `any`, `again` of [`Copies`].
    """

    counts: torch.Tensor
    copies: torch.Tensor | None = None

    @property
    def distinct(self) -> torch.Tensor:
        """`[K, bins, C]` samples, of which all copies count as one."""
        return self.counts if self.copies is None else self.counts - self.copies[2]

    @property
    def independent(self) -> int:
        """The number of samples, of which all copies count as one."""
        return int(self.distinct[0].sum())

    def without_frequent(self, samples: float | None = None) -> Table:
        """
        Without the copies in cells that are mostly of one row, more than a 64th of all samples, that comes with
        several labels; or of any such, if there is little else. Samples are as many as are counted by default.
        """
        if self.copies is None:
            return self
        samples = samples or float(self.counts[0].sum())
        number = (self.copies[1] + self.counts).double()  # times the copies that a sample has, itself included
        frequent = number * (FREQUENT / samples) > self.counts
        share = torch.where(frequent, self.counts, 0).sum((1, 2)) / self.counts.sum((1, 2))
        several = self.copies[0] + self.counts < PURE * number
        frequent &= several | (share > DISCRETE)[:, None, None]
        copies = torch.where(frequent, 0, self.copies)
        return Table(self.counts, copies if copies.any() else None)

    def of(self, neurons: torch.Tensor | slice) -> Table:
        """The tables of some neurons."""
        return Table(self.counts[neurons], None if self.copies is None else self.copies[:, neurons])

    def merged(self, bins: int) -> Table:
        """
        With neighbouring bins merged to `bins` of nearly equal mass. Copies have the mass of one row: else a row of
        many would push others out of its bin, and what is left in it would tell the label.
        """
        if self.copies is None:
            return Table(merge_to_equal_mass(self.counts, bins))
        everything = torch.cat([self.counts[None].to(self.copies.dtype), self.copies])
        columns = everything.permute(1, 2, 0, 3).flatten(2)
        merged = merge_to_equal_mass(columns, bins, self.distinct.sum(2))
        merged = merged.unflatten(2, (4, -1)).permute(2, 0, 1, 3)
        return Table(merged[0].to(self.counts.dtype), merged[1:])


def entropy(counts: torch.Tensor) -> torch.Tensor:
    """Plug-in entropy in bits over the last dimension of non-negative `counts`."""
    probabilities = counts / counts.sum(-1, keepdim=True)
    return -torch.special.xlogy(probabilities, probabilities).sum(-1) / math.log(2)


def independence_p_value(counts: torch.Tensor) -> torch.Tensor:
    """
    P-value of the G-test of independence with Williams' correction (Biometrika 1976); empty rows and columns do not
    count.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, classes]`): Integer counts; every neuron has the same total N. The
            bins are merged until the rarest class would have five samples in each.

    Returns:
        `torch.Tensor` of shape `[K]`: 1 for a neuron that never changes.
    """
    per_class = counts[0].sum(0)
    present = per_class > 0
    rarest = int(per_class[present].min())
    table = merge_to_equal_mass(counts, max(2, min(16, rarest // 5))).to(torch.float64)[:, :, present]
    total = table.sum((1, 2))
    rows, columns = table.sum(2), table.sum(1)
    expected = rows[:, :, None] * columns[:, None, :] / total[:, None, None]
    g_statistic = 2 * torch.special.xlogy(table, torch.where(table > 0, table / expected, 1.0)).sum((1, 2))
    num_rows, num_columns = (rows > 0).sum(1), (columns > 0).sum(1)
    freedom = (num_rows - 1) * (num_columns - 1)
    inverse_rows = torch.where(rows > 0, total[:, None] / rows, 0.0).sum(1) - 1
    inverse_columns = torch.where(columns > 0, total[:, None] / columns, 0.0).sum(1) - 1
    williams = 1 + inverse_rows * inverse_columns / (6 * total * freedom.clamp(min=1))
    p_value = torch.special.gammaincc(freedom.clamp(min=1) / 2, (g_statistic / williams).clamp(min=0) / 2)
    return torch.where(freedom > 0, p_value, 1.0)


def num_bins(num_samples: int) -> int:
    """Equal-mass bins to smooth over, a power of two: 256, or 512 from 16,385 samples on; never more than samples."""
    return max(16, min(512 if num_samples > 64 * 256 else 256, power_of_two(num_samples)))


def power_of_two(number: int) -> int:
    """The least power of two that is not smaller than `number`."""
    return 1 << (number - 1).bit_length()


def merge_to_equal_mass(counts: torch.Tensor, bins: int, mass: torch.Tensor | None = None) -> torch.Tensor:
    """
    Merges neighbouring bins of `[K, fine, classes]` counts to `bins` of nearly equal mass, by the mid-rank of each
    fine bin. A fine bin is never split, so a frequent value stays in one bin. The `[K, fine]` integer `mass` of the
    fine bins is that of their counts unless given.

    Returns:
        `torch.Tensor` of shape `[K, bins, classes]`: counts with the same totals per neuron and class.
    """
    mass = counts.sum(2) if mass is None else mass
    total = mass.sum(1, keepdim=True)
    mid_rank = mass.cumsum(1) * 2 - mass  # twice the mid-rank, to stay in integers
    target = (mid_rank * bins // (2 * total)).clamp(max=bins - 1)
    merged = counts.new_zeros(counts.shape[0], bins, counts.shape[2])
    for sums, of_class in zip(merged.unbind(2), counts.unbind(2), strict=True):
        sums.scatter_add_(1, target, of_class)
    return merged
