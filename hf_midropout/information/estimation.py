"""From counts to estimates, with more bins for the neurons whose counts ask for them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .contingency import MutualInformation, entropy, independence_p_value
from .smoothing import smoothed_information


FINER_BINS = 4096
BLOCK_CELLS = 2**23
"""Cells of the finer tables made at once."""


Finer = Callable[[torch.Tensor, int], torch.Tensor]
"""Makes the `[k, bins, C]` table of some neurons, given their `[k]` numbers and the number of bins."""


def estimate_bits(counts: torch.Tensor, finer: Finer) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Bits between 0 and the label's entropy, and their standard errors, each `[K]` in float64.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, C]`): Samples of two classes or more in equal-mass bins, in the
            order of the ranks.
        finer (`Finer`): Makes tables of more bins for the neurons that want them.
    """
    per_class = counts[0].sum(0)
    bits, stderr, wants_finer = smoothed_information(counts)
    bins = min(FINER_BINS, 1 << (int(per_class.sum()) - 1).bit_length())
    if bins > counts.shape[1] and wants_finer.any():
        for neurons in wants_finer.nonzero().flatten().split(max(1, BLOCK_CELLS // (bins * len(per_class)))):
            bits[neurons], stderr[neurons], _ = smoothed_information(finer(neurons, bins))
    return bits.clamp(0.0, float(entropy(per_class.double()))), stderr


def estimate(counts: torch.Tensor, finer: Finer) -> MutualInformation:
    """As `estimate_bits`, with p-values and what they are based on."""
    per_class = counts[0].sum(0)
    bits, stderr = estimate_bits(counts, finer)
    return MutualInformation(
        bits=bits,
        stderr=stderr,
        p_value=independence_p_value(counts),
        label_entropy=float(entropy(per_class.double())),
        num_samples=int(per_class.sum()),
    )
