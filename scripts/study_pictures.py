"""The pictures of the study, which `draw_docs.py` draws: the architecture, the comparison, the cost of scoring."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.patches import FancyBboxPatch

from hf_midropout.reporting.figure_list import Drawable
from hf_midropout.reporting.report import Report
from hf_midropout.study import figures
from hf_midropout.utils.plotting import AFTER, BEFORE, GREY, KEPT, plt


RESULTS = Path(__file__).parent / "benchmarks" / "results"
STUDY = RESULTS / "study"
SHOWN = 11
"""Neurons of a layer that are drawn, evenly spaced by their bits."""


def table(name: str) -> pd.DataFrame:
    return pd.read_parquet(STUDY / f"{name}.parquet")


def architecture():
    """Figure 1 of the paper: the network, its neurons' bits, and what is left; bits are those of the demo's run."""
    record = Drawable(Report.load(RESULTS, "python_docs"), {}).record
    layers = []
    for name, bits in record.before.bits.items():
        order = bits.argsort(descending=True)
        shown = order[np.linspace(0, len(order) - 1, SHOWN).round()]
        layers.append((len(bits), bits[shown].tolist(), record.selection.kept[name][shown].tolist()))
    highest = max(max(bits) for _, bits, _ in layers)
    figure, panels = plt.subplots(1, 2, figsize=(7.2, 3.3), layout="constrained")
    titles = ("1  score: bits about the label", "2  drop the lowest; 3  retrain")
    for axes, title, pruned in zip(panels, titles, (False, True), strict=True):
        axes.add_patch(FancyBboxPatch((-0.25, 2.6), 0.85, 5, boxstyle="round,pad=0.05", color=BEFORE, alpha=0.35))
        axes.text(0.17, 5.1, "ALBERT", rotation=90, ha="center", va="center")
        alive = [[True] * SHOWN if not pruned else kept for _, _, kept in layers]
        places = [np.linspace(0, 10.2, SHOWN)[::-1] for _ in layers]
        for column in range(len(layers)):
            before = [(0.68, 5.1)] if not column else [
                (column, y) for y, lives in zip(places[column - 1], alive[column - 1], strict=True) if lives
            ]  # fmt: skip
            for y in (y for y, lives in zip(places[column], alive[column], strict=True) if lives):
                for x, other in before:
                    axes.plot([x, column + 1], [other, y], color=GREY, alpha=0.18, lw=0.5, zorder=1)
        for y in (y for y, lives in zip(places[-1], alive[-1], strict=True) if lives):
            axes.plot([len(layers), len(layers) + 0.8], [y, 5.1], color=GREY, alpha=0.3, lw=0.5, zorder=1)
        for column, (number, bits, _) in enumerate(layers):
            for y, each, lives in zip(places[column], bits, alive[column], strict=True):
                colour = plt.get_cmap("Blues")(0.12 + 0.8 * each / highest) if lives else "white"
                axes.scatter([column + 1], [y], s=85, color=[colour], edgecolors=GREY if lives else BEFORE,
                             linewidths=0.8, linestyles="-" if lives else ":", zorder=2)  # fmt: skip
            left = int(record.selection.kept[list(record.before.bits)[column]].sum()) if pruned else number
            axes.text(column + 1, -1.3, f"{left}", ha="center", va="center", fontsize=9)
        axes.scatter([len(layers) + 0.8], [5.1], s=150, color="#d55e00", zorder=2)
        axes.text(len(layers) + 0.8, 3.9, "label", ha="center", fontsize=9)
        axes.text(0.17, -1.3, "neurons:", ha="center", va="center", fontsize=9)
        axes.set_title(title, fontsize=10)
        axes.set_xlim(-0.5, len(layers) + 1.3)
        axes.set_ylim(-1.8, 10.8)
        axes.set_axis_off()
    scale = plt.cm.ScalarMappable(plt.Normalize(0, highest), plt.get_cmap("Blues"))
    figure.colorbar(scale, ax=panels, shrink=0.6, aspect=18, label="bits")
    return figure


def study_accuracy():
    """Figure 3 of the paper."""
    return figures.accuracy_per_epoch(table("curves"))


def study_bits():
    """Figure 2 of the paper."""
    return figures.bits_per_layer(table("bits"))


def study_differences():
    """Of every method from training without any."""
    return figures.differences_from_none(table("results"))


def scoring_cost():
    """Processor seconds against rows, layers and neurons, with the exponents."""
    measured = json.loads((RESULTS / "scoring_cost.json").read_text(encoding="utf-8"))
    fixed, results = measured["fixed"], measured["results"]
    figure, panels = plt.subplots(1, len(results), figsize=(7.2, 2.5), sharey=True, layout="constrained")
    for axes, (dimension, found), colour in zip(panels, results.items(), (AFTER, KEPT, "#d55e00"), strict=True):
        sizes, seconds = found["sizes"], found["seconds"]
        power = found["exponent_of_the_four_largest"]
        axes.loglog(sizes, seconds, "o", color=colour, ms=5)
        axes.loglog(sizes[-4:], [seconds[-1] * (size / sizes[-1]) ** power for size in sizes[-4:]], color=colour)
        axes.set_title(f"{dimension}: exponent {power:.2f}", fontsize=10)
        axes.set_xlabel(", ".join(f"{fixed[other]:,} {other}" for other in results if other != dimension), fontsize=8)
        axes.grid(color=GREY, alpha=0.15)
    panels[0].set_ylabel("seconds of one core")
    return figure


PICTURES = {
    each.__name__: each for each in (architecture, study_accuracy, study_bits, study_differences, scoring_cost)
}
