"""From counts to estimates, with more bins for the neurons whose counts ask for them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..parallel import BLOCK_ELEMENTS
from .contingency import MutualInformation, Table, entropy, independence_p_value, num_bins, power_of_two
from .smoothing import FEWEST_BINS, smoothed_information


FINER = 8
"""Times more bins for neurons that want them; then `FINEST_BINS` for those that still do."""
FINEST_BINS = 16_384
BLOCK_CELLS = 2**23
"""Cells of the finer tables made at once."""
FINEST_PSEUDO_COUNT = 0.01
"""What asks for so many bins has long runs of one class, where pseudo-samples of others are most of the error."""
COARSER = 4
RESOLUTION_ERROR = 1.5
"""Standard error over what `COARSER` times more bins told more; makes intervals hold for a comb of 16 teeth."""
PLACES_PER_BIN = 8
"""Bins of a stream are of unequal mass: with fewer places by rank, narrow ones would fall together."""


Finer = Callable[[torch.Tensor, int], Table]
"""Makes the table of some neurons, given their `[k]` numbers and the number of bins."""


def estimate_bits(table: Table, finer: Finer, resolution: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Bits between 0 and the label's entropy, and their standard errors, each `[K]` in float64.

    Args:
        table ([`Table`]): Samples of two classes or more in equal-mass bins, in the order of the ranks.
        finer (`Finer`): Makes tables of more bins for the neurons that want them.
        resolution (`int`, *optional*): Bins that `finer` can tell apart at the most; by default every sample.
    """
    counts = table.counts
    per_class = counts[0].sum(0)
    samples = table.independent
    told_apart = power_of_two(min(resolution or samples, FINEST_BINS))
    finest = max(counts.shape[1], min(FINEST_BINS, power_of_two(samples), PLACES_PER_BIN * told_apart))
    bits, stderr, wants_finer = smoothed_information(counts, copies=table.copies)
    bins = FINER * counts.shape[1]
    if bins < finest:  # most neurons find here what they want, at a fraction of the cost
        for neurons in _blocks(wants_finer, bins * len(per_class)):
            fine = finer(neurons, bins)
            smoothed = smoothed_information(fine.counts, copies=fine.copies)
            bits[neurons], stderr[neurons], wants_finer[neurons] = smoothed
    for neurons in _blocks(wants_finer, finest * len(per_class)):
        fine = finer(neurons, finest) if finest > counts.shape[1] else table.of(neurons)
        bits[neurons], stderr[neurons] = _with_resolution_error(fine, min(finest, told_apart))
    return bits.clamp(0.0, float(entropy(per_class.double()))), stderr


def _blocks(chosen: torch.Tensor, cells_per_neuron: int) -> tuple[torch.Tensor, ...]:
    """The numbers of the `chosen` neurons (bool), as many at a time as have room."""
    neurons = chosen.nonzero().flatten()
    return neurons.split(max(1, BLOCK_CELLS // cells_per_neuron)) if len(neurons) else ()


def _with_resolution_error(table: Table, told_apart: int) -> tuple[torch.Tensor, torch.Tensor]:
    """As `smoothed_information`; the standard error includes what may be lost between the finest bins."""
    fine, coarse = (
        smoothed_information(each.counts, copies=each.copies, pseudo_count=FINEST_PSEUDO_COUNT)
        for each in (table, table.merged(max(FEWEST_BINS, told_apart // COARSER)))
    )
    return fine.bits, torch.hypot(fine.stderr, RESOLUTION_ERROR * (fine.bits - coarse.bits))


def estimate(table: Table, finer: Finer, resolution: int | None = None) -> MutualInformation:
    """As `estimate_bits`, with p-values, of which copies of a row are one sample, and what they are based on."""
    per_class = table.counts[0].sum(0)
    bits, stderr = estimate_bits(table, finer, resolution)
    return MutualInformation(
        bits=bits,
        stderr=stderr,
        p_value=independence_p_value(table.distinct),
        label_entropy=float(entropy(per_class.double())),
        num_samples=int(per_class.sum()),
    )


def estimate_in_blocks(table: Table) -> MutualInformation:
    """`estimate` of a stream's counts `[K, bins, C]`, whose bins are more than it takes, some neurons at a time."""
    neurons, bins, classes = table.counts.shape
    samples = int(table.counts[0].sum())
    at_once = BLOCK_ELEMENTS if table.copies is None else BLOCK_ELEMENTS // 16  # of wider integers, four tables
    block = max(1, at_once // (bins * classes))
    results = []
    for start in range(0, neurons, block):
        part = table.of(slice(start, start + block)).without_frequent()

        def finer(chosen: torch.Tensor, number: int, part: Table = part) -> Table:
            return part.of(chosen).merged(number)

        number = num_bins(part.independent if part.copies is not None else samples)
        results.append(estimate(part.merged(number), finer, resolution=bins))
    return joined(results)


def joined(results: list[MutualInformation]) -> MutualInformation:
    """The estimates for some neurons and those for others from the same samples."""
    bits, stderr, p_value = (torch.cat(part) for part in list(zip(*results, strict=True))[:3])
    return results[0]._replace(bits=bits, stderr=stderr, p_value=p_value)
