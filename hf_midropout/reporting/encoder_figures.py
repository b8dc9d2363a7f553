"""Figures of an encoder that was pruned in one shot."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from ..pruning.record.arrays import IMPORTANCE, KEPT, Arrays
from ..pruning.record.encoder_schema import PrunedEncoder, array_name
from ..pruning.record.training import PruningRecord
from ..utils.plotting import AFTER, BEFORE, GREY, plt
from .compared import compared
from .report import Report


COLUMNS = 256
"""Of the strip of a layer: a neuron more or less is not seen."""

MOST_TICKS = 24


def information_lost(report: Report) -> Figure:
    """Bits lost and accuracy by criterion, with two standard errors of the differences from the dense network."""
    dense, *shown = compared(report)
    figure, (bits, accuracy) = plt.subplots(
        1, 2, figsize=(6.4, 1.3 + 0.34 * len(shown)), sharey=True, layout="constrained"
    )
    for place, each in enumerate(shown):
        assert each.to_dense is not None and each.metrics.accuracy is not None
        style: dict[str, Any] = {"fmt": "o", "color": AFTER if each.chosen else BEFORE, "elinewidth": 1.8}
        bits.errorbar(each.to_dense.bits.value, place, xerr=2 * each.to_dense.bits.stderr, **style)
        accuracy.errorbar(100 * each.metrics.accuracy, place, xerr=200 * each.to_dense.accuracy.stderr, **style)
    bits.set_yticks(range(len(shown)), [each.name for each in shown])
    bits.set_ylim(len(shown) - 0.5, -0.5)
    bits.set_xlim(left=0)
    bits.set_xlabel("bits lost")
    at_dense = 100 * (dense.metrics.accuracy or 0.0)
    accuracy.axvline(at_dense, color=GREY, linestyle=":", linewidth=1)
    accuracy.annotate(
        "dense", (at_dense, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
        textcoords="offset points", ha="center", fontsize=8.5, color=GREY,
    )  # fmt: skip
    accuracy.margins(x=0.12)
    accuracy.set_xlabel("accuracy (%)")
    for axes in (bits, accuracy):
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.grid(axis="x", color=GREY, alpha=0.15)
    return figure


def bits_strips(record: PruningRecord) -> Figure:
    """A strip a layer: its neurons by their bits, those kept first; for more neurons than dots can show."""
    layers = record.layers()
    kept = record.selection.kept if record.selection else {}
    rows = []
    for layer in layers:
        values = record.before.layers[layer.name].bits.cpu().numpy()
        mask = kept[layer.name].cpu().numpy() if layer.name in kept else np.ones(len(values), dtype=bool)
        places = ((np.arange(COLUMNS) + 0.5) / COLUMNS * len(values)).astype(int)
        rows.append(values[np.lexsort((-values, ~mask))][places])
    figure, axes = plt.subplots(figsize=(5.2, min(1.3 + 0.26 * len(layers), 8.0)), layout="constrained")
    image = axes.imshow(
        np.array(rows), aspect="auto", cmap="Blues", extent=(0, 1, len(layers) - 0.5, -0.5), interpolation="nearest"
    )
    places = np.arange(len(layers))
    axes.vlines(
        [layer.kept / layer.neurons for layer in layers], places - 0.5, places + 0.5, color="#d55e00", linewidth=2
    )
    axes.hlines(places + 0.5, 0, 1, color="white", linewidth=min(2.0, 20 / len(layers)))
    _name_rows(axes, [layer.name for layer in layers])
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1, 0))
    axes.set_xlabel("neurons, those kept first, by their bits")
    axes.spines[:].set_visible(False)
    figure.colorbar(image, ax=axes, label="bits", shrink=0.9, pad=0.02)
    return figure


def _name_rows(axes, names: list[str]) -> None:
    """The names of the layers beside their rows; of many, every second or third."""
    step = -(-len(names) // MOST_TICKS)
    axes.set_yticks(range(0, len(names), step), names[::step], fontsize=7.5)
    axes.tick_params(axis="y", length=0)


def neurons_kept(encoder: PrunedEncoder, arrays: Arrays) -> Figure:
    """A strip a layer: its neurons, those kept first, by importance; beside it what the refit left unexplained."""
    layers = len(encoder.groups)
    figure, (strips, left) = plt.subplots(
        1, 2, figsize=(6.4, min(1.3 + 0.26 * layers, 8.0)), sharey=True, width_ratios=(3, 1), layout="constrained"
    )
    image = strips.imshow(
        _importance_strips(encoder, arrays), aspect="auto", cmap="Blues", extent=(0, 1, layers - 0.5, -0.5),
        interpolation="nearest",
    )  # fmt: skip
    places = np.arange(layers)
    shares = [group.kept / group.neurons for group in encoder.groups.values()]
    strips.vlines(shares, places - 0.5, places + 0.5, color="#d55e00", linewidth=2)
    strips.hlines(places + 0.5, 0, 1, color="white", linewidth=min(2.0, 20 / layers))
    _name_rows(strips, list(encoder.groups))
    strips.set_xlim(0, 1)
    strips.xaxis.set_major_formatter(PercentFormatter(1, 0))
    strips.set_xlabel("neurons, by importance")
    strips.spines[:].set_visible(False)
    figure.colorbar(image, ax=strips, label="importance, log10", shrink=0.9, pad=0.02)
    unexplained = [group.unexplained or 0.0 for group in encoder.groups.values()]
    left.barh(places, unexplained, 0.7, color=BEFORE)
    left.xaxis.set_major_formatter(PercentFormatter(1, 0))
    left.set_xlabel("unexplained")
    left.tick_params(axis="y", length=0)
    return figure


def _importance_strips(encoder: PrunedEncoder, arrays: Arrays) -> np.ndarray:
    """`[layers, COLUMNS]` logarithms of importances, from the left those kept, then the others, each falling."""
    rows = []
    for name, group in encoder.groups.items():
        values, kept = arrays[array_name(name, IMPORTANCE)], arrays[array_name(name, KEPT)]
        places = (np.arange(COLUMNS) + 0.5) / COLUMNS * group.neurons
        rows.append(values[np.lexsort((-values, ~kept))][places.astype(int)])
    strips = np.array(rows)
    floor = max(strips.max() * 1e-6, np.finfo(np.float64).tiny)
    return np.log10(strips.clip(min=floor))
