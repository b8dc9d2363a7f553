"""The bits of neurons on axes of the user's, in whichever backend their session has."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib import pyplot as plt

from ..utils.figure_style import AFTER, STYLE


MOST_NAMED = 8
"""Layers that a legend names."""


def draw_bits(bits: Mapping[str, torch.Tensor], ax=None):
    """A histogram of `bits` (`[K]` by layer), stacked where there are several; the `matplotlib.axes.Axes` of it."""
    values = [each.cpu().numpy() for each in bits.values()]
    with plt.rc_context(STYLE):
        ax = plt.subplots(layout="constrained")[1] if ax is None else ax
        colours = (
            [AFTER] if len(values) == 1 else list(plt.get_cmap("viridis")(torch.linspace(0, 0.9, len(values)).numpy()))
        )
        ceiling = max((float(each.max()) for each in values), default=0.0) or 1.0
        ax.hist(values, bins=60, range=(0, ceiling), stacked=True, color=colours, label=list(bits))
        ax.set_xlabel("mutual information with the label (bits)")
        ax.set_ylabel("neurons")
        if 1 < len(values) <= MOST_NAMED:
            ax.legend()
        elif len(values) == 1:
            ax.set_title(next(iter(bits)))
    return ax
