"""From counts to estimates, with more bins for the neurons whose counts ask for them."""

from __future__ import annotations

from collections.abc import Callable

import torch

from .contingency import MutualInformation, entropy, independence_p_value
from .smoothing import smoothed_information


FINER_BINS = 4096
BLOCK_CELLS = 2**23
"""Cells of the finer tables made at once."""


def estimate(counts: torch.Tensor, finer: Callable[[torch.Tensor, int], torch.Tensor]) -> MutualInformation:
    """
    The estimate from counts of samples of two classes or more.

    Args:
        counts (`torch.Tensor` of shape `[K, bins, C]`): Samples in equal-mass bins, in the order of the ranks.
        finer (`Callable[[torch.Tensor, int], torch.Tensor]`): Makes the `[k, bins, C]` table of some neurons, given
            their `[k]` numbers and the number of bins.

    Returns:
        [`MutualInformation`]
    """
    per_class = counts[0].sum(0)
    samples = int(per_class.sum())
    bits, stderr, wants_finer = smoothed_information(counts)
    bins = min(FINER_BINS, 1 << (samples - 1).bit_length())
    if bins > counts.shape[1] and wants_finer.any():
        for neurons in wants_finer.nonzero().flatten().split(max(1, BLOCK_CELLS // (bins * len(per_class)))):
            bits[neurons], stderr[neurons], _ = smoothed_information(finer(neurons, bins))
    label_entropy = float(entropy(per_class.double()))
    return MutualInformation(
        bits=bits.clamp(0.0, label_entropy),
        stderr=stderr,
        p_value=independence_p_value(counts),
        label_entropy=label_entropy,
        num_samples=samples,
    )
