"""A histogram of the bits of neurons, layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from ..utils.plotting import AFTER, BEFORE, GREY, plt


def histogram_of_bits(
    bits: Mapping[str, torch.Tensor],
    kept: Mapping[str, torch.Tensor] | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Figure:
    """
    Histogram of the bits of each layer's neurons.

    Args:
        bits (`Mapping[str, torch.Tensor]`): `[K]` by layer.
        kept (`Mapping[str, torch.Tensor]`, *optional*): bool mask `[K]` by layer, to show those dropped apart.
        thresholds (`Mapping[str, float]`, *optional*): Lowest bits kept, by layer.
    """
    figure, all_axes = plt.subplots(
        len(bits), 1, figsize=(6.4, 1.2 + 1.35 * len(bits)), sharex=True, squeeze=False, layout="constrained"
    )
    ceiling = max(float(values.max()) for values in bits.values()) or 1.0
    edges = [ceiling * step / 60 for step in range(61)]
    for axes, (name, values) in zip(all_axes.flat, bits.items(), strict=True):
        values = values.cpu()
        if kept is None:
            axes.hist(values.numpy(), edges, color=AFTER)
        else:
            mask = kept[name]
            axes.hist([values[mask].numpy(), values[~mask].numpy()], edges, stacked=True, color=[AFTER, BEFORE],
                      label=["kept", "dropped"])  # fmt: skip
        if thresholds is not None:
            axes.axvline(thresholds[name], color=GREY, linestyle="--", linewidth=1,
                         label="lowest bits kept")  # fmt: skip
        axes.set_ylabel("neurons")
        axes.set_title(name, fontsize=9, loc="left")
    if kept is not None:
        figure.legend(*all_axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8.5)
    moment = " when neurons were dropped" if kept is not None else ""
    all_axes.flat[-1].set_xlabel(f"mutual information with the label{moment} (bits)")
    return figure
