"""How many neurons each layer of an encoder keeps: as many everywhere, or more where they carry more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...groups import Groups


if TYPE_CHECKING:
    from ..criteria import Importance


MULTIPLE = 32
"""Widths are multiples of this: others can be slower than wider ones."""
FEWEST_WIDTHS = 16
"""To choose from in a layer so narrow that it has fewer multiples."""


def width_for(keep: float, units: int) -> int:
    """The width nearest to the fraction `keep` of `units` among multiples of [`width_multiple`]."""
    multiple = width_multiple(units)
    return min(max(1, round(keep * units / multiple)) * multiple, units)


def width_multiple(units: int) -> int:
    """What the widths of layers of `units` neurons are multiples of: 32, or less in narrow layers."""
    return min(MULTIPLE, max(1, units // FEWEST_WIDTHS))


def allocate(importance: Importance, groups: Groups, even: Mapping[str, int]) -> dict[str, int]:
    """
    Widths that make no more multiplications than those of `even` (`dict[str, int]`, by group), and keep the blocks of
    neurons with the highest mean importance, wherever these are. Every layer keeps one. On the one
    classifier measured, a quarter of the neurons lost half as many bits so as with `even` widths; for an eighth no
    difference was shown (`scripts/benchmarks/encoder_uneven.py`).

    Args:
        importance (`dict[str, torch.Tensor]`): `[K]` by group, in a unit that compares over groups: by neuron and
            application, as each application of a shared layer costs multiplications.
        groups (`dict[str, PrunableGroup]`): By the same names.

    Returns:
        `dict[str, int]`: by group; multiples of [`width_multiple`].
    """
    blocks: list[tuple[float, str, int]] = []
    widths: dict[str, int] = {}
    left = sum(groups[name].num_calls * width for name, width in even.items())
    for name, values in importance.items():
        first, *others = values.sort(descending=True).values.split(width_multiple(len(values)))
        widths[name] = len(first)
        left -= groups[name].num_calls * len(first)
        blocks += [(float(block.mean()), name, len(block)) for block in others]
    # The sort is stable: of equal blocks, those nearer the input, and within a layer in the order of their neurons.
    for _, name, size in sorted(blocks, key=lambda block: -block[0]):
        cost = groups[name].num_calls * size
        if cost > left:
            break
        widths[name] += size
        left -= cost
    return widths
