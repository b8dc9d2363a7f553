"""A study's figures: accuracy per epoch, bits per layer, and differences with their intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ..utils.plotting import AFTER, BEFORE, GREY, KEPT, draw, plt
from .methods import CONTROL, KINDS, METHODS, PAPER, VARIANT
from .page import FIGURES
from .plan import Run
from .tables import BASELINES, baseline_of, bits, curves, differences, tidy


COLOURS = {PAPER: "#d55e00", VARIANT: AFTER, CONTROL: BEFORE, "relative": "#009e73", "regularizer": KEPT}
MARKERS = "osD^v"
DASHES = ("-", "--", ":", "-.")
MOST_LINES = 10
PREFERRED = (
    *BASELINES,
    "dropout",
    "information",
    "info_drop",
    "multi_sample",
    "drop_mi",
    "mi_prune",
    "mi_dropout",
    "mi_refit",
)
"""Methods of Figure 3, where they ran: the baselines, the plain ones and the paper's. Others fill the lines left."""


def lines(methods: Iterable[str]) -> dict[str, dict[str, Any]]:
    """
    The methods that Figure 3 draws, the baseline first, with colour and dash: at most `MOST_LINES`, and of a kind,
    which has one colour, as many as there are dashes.
    """
    there, of_kind = set(methods), Counter[str]()
    chosen: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys((*PREFERRED, *METHODS)):
        kind = METHODS[name].kind
        if name in there and len(chosen) < MOST_LINES and of_kind[kind] < len(DASHES):
            chosen[name] = {"color": COLOURS[kind], "linestyle": DASHES[of_kind[kind]]}
            of_kind[kind] += 1
    return chosen


def accuracy_per_epoch(curves: pd.DataFrame) -> Figure:
    """Figure 3 of the paper: mean validation accuracy over the training, a panel for each dataset and size."""
    datasets, sizes, styles = _order(curves.dataset), _order(curves["size"]), lines(curves.method)
    figure, panels = plt.subplots(
        len(sizes), len(datasets), figsize=(3.1 * len(datasets) + 1.4, 2.3 * len(sizes) + 0.5), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for row, size in enumerate(sizes):
        for column, dataset in enumerate(datasets):
            axes, here = panels[row][column], curves[(curves.dataset == dataset) & (curves["size"] == size)]
            if here.empty:
                axes.set_axis_off()
                continue
            lows = []
            for method in (name for name in styles if name in set(here.method)):
                mean = 100 * here[here.method == method].groupby("step").accuracy.mean()
                axes.plot(mean.index / mean.index.max(), mean, label=METHODS[method].label, **styles[method])
                lows.append(mean[mean.index >= 0.4 * mean.index.max()].min())
            if lows:  # the first steps are steep: drawn whole, they would flatten all the rest
                axes.set_ylim(bottom=min(lows) - 0.5)
            axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle=":")
            axes.set_title(f"{dataset}, {size} rows", fontsize=10)
            axes.grid(axis="y", color=GREY, alpha=0.15)
    for axes in panels[-1]:
        axes.set_xlabel("share of the training")
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy (%)")
    handles: dict[str, Any] = {}
    for axes in panels.flat:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", fontsize=8)
    return figure


def bits_per_layer(bits: pd.DataFrame, method: str = "mi_prune") -> Figure:
    """
    Figure 2 of the paper: mean bits of each layer before and after, and of the same kept neurons at both times, as
    dropping the lowest raises a mean by arithmetic.
    """
    bits = bits[bits.method == method]
    datasets, sizes = _order(bits.dataset), _order(bits["size"])
    figure, panels = plt.subplots(
        len(sizes), len(datasets), figsize=(3.1 * len(datasets) + 0.4, 2.2 * len(sizes) + 0.6), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    bars = (
        ("before", "before, all neurons", BEFORE),
        ("before_kept", "before, those that are kept", KEPT),
        ("end_unmasked", "after retraining, those that are kept", AFTER),
    )
    for row, size in enumerate(sizes):
        for column, dataset in enumerate(datasets):
            axes, here = panels[row][column], bits[(bits.dataset == dataset) & (bits["size"] == size)]
            if here.empty:
                axes.set_axis_off()
                continue
            for place, (when, label, colour) in enumerate(bars):
                layers = here[here.when == when].groupby("layer").bits.agg(["mean", "std"])
                axes.bar(
                    layers.index + 0.27 * (place - 1), layers["mean"], 0.27, yerr=layers["std"].fillna(0),
                    color=colour, label=label,
                )  # fmt: skip
            axes.set_xticks(layers.index, [f"layer {layer}" for layer in layers.index])
            axes.set_title(f"{dataset}, {size} rows", fontsize=10)
    for axes in panels[:, 0]:
        axes.set_ylabel("bits per neuron")
    figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)
    return figure


def differences_from_none(table: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Of each method from training without any, in points, with 95% intervals: a panel for each size."""
    found = differences(table, metric)
    datasets, sizes = _order(table.dataset), _order(table["size"])
    methods = [name for kind in KINDS for name in METHODS if METHODS[name].kind == kind and name in set(table.method)]
    baseline = baseline_of(methods)
    methods = [name for name in methods if name != baseline]
    figure, panels = plt.subplots(
        1, len(sizes), figsize=(2.6 * len(sizes) + 2.4, 0.27 * len(methods) + 1.3), sharex=True, sharey=True,
        squeeze=False, layout="constrained",
    )  # fmt: skip
    for axes, size in zip(panels[0], sizes, strict=True):
        for number, dataset in enumerate(datasets):
            shift = 0.22 * (number - (len(datasets) - 1) / 2)
            for place, method in enumerate(methods):
                each = found.get((dataset, size, method))
                if each is not None:
                    axes.errorbar(
                        100 * each.mean, place + shift, xerr=50 * (each.high - each.low),
                        fmt=MARKERS[number % len(MARKERS)], markersize=3.5, elinewidth=1,
                        color=COLOURS[METHODS[method].kind],
                    )  # fmt: skip
        axes.axvline(0, color=GREY, linewidth=0.8)
        axes.set_title(f"{size} rows", fontsize=10)
        axes.grid(axis="x", color=GREY, alpha=0.15)
        axes.set_xlabel(f"points from {METHODS[baseline].label}" if baseline else "points")
    panels[0][0].set_yticks(range(len(methods)), [METHODS[name].label for name in methods], fontsize=8)
    panels[0][0].set_ylim(len(methods) - 0.4, -0.6)
    handles = [
        Line2D([], [], color="black", linestyle="", marker=MARKERS[number % len(MARKERS)], markersize=4, label=dataset)
        for number, dataset in enumerate(datasets)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(datasets), fontsize=8)
    return figure


def draw_figures(results: Sequence[tuple[Run, dict[str, Any]]], folder: Path) -> list[Path]:
    """Draws those that the results allow into `folder`, as PNG; of an earlier set of runs none is left there."""
    folder.mkdir(parents=True, exist_ok=True)
    table, trained, measured = tidy(results), curves(results), bits(results)
    figures = {"accuracy_per_epoch": lambda: accuracy_per_epoch(trained)}
    if "mi_prune" in set(measured.method):
        figures["bits_per_layer"] = lambda: bits_per_layer(measured)
    if table.method.nunique() > 1 and baseline_of(table.method):
        figures["differences"] = lambda: differences_from_none(table)
    for name, *_ in FIGURES:
        if name not in figures:
            (folder / f"{name}.png").unlink(missing_ok=True)
    return [draw(make, folder / f"{name}.png") for name, make in figures.items()]


def _order(values: Any) -> list[str]:
    return list(dict.fromkeys(values))
