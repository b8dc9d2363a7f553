"""Figures of the report page that need more than the record: architecture and calibration."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from ..pruning.record.training import PruningRecord
from ..utils.plotting import AFTER, BEFORE, GREY, plt
from .parts import encoder_of
from .report import Tested


DROPPED = "#d9d9d9"
WIDTH = 5.2
"""Inches: on a phone's screen the letters are still letters."""


def architecture(record: PruningRecord, config: dict[str, Any]) -> Figure:
    """
    Figure 1 of the paper, from the real model: encoder, hidden layers with a dot for every neuron, classes.

    Args:
        record ([`PruningRecord`]): Which neurons were kept.
        config (`dict`): The checkpoint's `config.json`.
    """
    layers = record.layers()
    columns = max(32, math.ceil(math.sqrt(2 * max(layer.neurons for layer in layers)) / 8) * 8)
    left, right = 25.0, 80.0
    pitch = (right - left) / columns
    heights = [max(math.ceil(layer.neurons / columns) * pitch, 5) for layer in layers]
    gap, box = 4.5, 7.0
    total = 2 * box + sum(heights) + gap * (len(layers) + 3) + box
    figure, axes = plt.subplots(figsize=(WIDTH, WIDTH * total / 100))
    axes.set_xlim(0, 100)
    axes.set_ylim(-total, 0)
    axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1)
    # A dot is 80% of its place, in points squared.
    size = (pitch * 0.8 * WIDTH * 72 / 100) ** 2
    y = _box(axes, 0.0, box, "text, cut into tokens", left, right)
    y = _arrow(axes, y, gap)
    name, num_layers, hidden_size = encoder_of(config)
    y = _box(axes, y, box, f"{name} encoder: {num_layers} layers of {hidden_size} units", left, right)
    for layer, height in zip(layers, heights, strict=True):
        y = _arrow(axes, y, gap)
        kept = record.selection.kept[layer.name].tolist() if record.selection else [True] * layer.neurons
        places = [(left + pitch * (n % columns + 0.5), y - pitch * (n // columns + 0.5)) for n in range(len(kept))]
        colours = [AFTER if keep else DROPPED for keep in kept]
        axes.scatter(*zip(*places, strict=True), s=size, c=colours, linewidths=0)
        middle = y - height / 2
        axes.text(left - 2, middle, layer.name, ha="right", va="center", fontsize=8.5)
        counts = f"{layer.neurons} → {layer.kept}" if layer.kept < layer.neurons else f"{layer.neurons}"
        axes.text(right + 2, middle, f"{counts}\nneurons", ha="left", va="center")
        y -= height
    y = _arrow(axes, y, gap)
    _box(axes, y, box, f"{len(config.get('id2label') or [0, 1])} classes", left, right)
    return figure


def _box(axes, y: float, height: float, text: str, left: float, right: float) -> float:
    axes.add_patch(
        FancyBboxPatch(
            (left + 1, y - height + 0.5), right - left - 2, height - 1, boxstyle="round,pad=0.3,rounding_size=1.5",
            facecolor="white", edgecolor=GREY, linewidth=1,
        )
    )  # fmt: skip
    axes.text((left + right) / 2, y - height / 2, text, ha="center", va="center")
    return y - height


def _arrow(axes, y: float, gap: float) -> float:
    arrow = {"arrowstyle": "-|>", "color": GREY, "linewidth": 1, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (49, y - gap + 0.7), (49, y - 0.7), arrowprops=arrow)
    return y - gap


def reliability_diagram(test: Tested) -> Figure:
    """Accuracy over confidence in 15 bins, beside the diagonal of a perfectly calibrated classifier."""
    points = test.calibration
    figure, (axes, counts) = plt.subplots(
        2, 1, figsize=(WIDTH, 4.2), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1, label="perfectly calibrated")
    confidence, accuracy, rows = (
        [getattr(point, key) for point in points] for key in ("confidence", "accuracy", "rows")
    )
    axes.plot(confidence, accuracy, color=AFTER, linewidth=0.8, alpha=0.6)
    sizes = [8 + 90 * count / max(rows) for count in rows]
    axes.scatter(confidence, accuracy, s=sizes, color=AFTER, label="this model, larger with more rows", zorder=3)
    axes.set_ylabel("accuracy")
    axes.set_ylim(0, 1.02)
    axes.legend(fontsize=9, loc="upper left")
    counts.bar(confidence, rows, width=1 / 18, color=BEFORE)
    counts.set_ylabel("rows")
    counts.set_xlabel("confidence, mean of the rows in a bin")
    counts.set_xlim(0, 1)
    return figure
