"""Figures of the report that are drawn from the record alone."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ..pruning.record.schema import Sweep
from ..pruning.record.training import PruningRecord
from ..scoring.histogram import histogram_of_bits
from ..utils.plotting import AFTER, BEFORE, GREY, KEPT, plt
from .parts import FEW_LAYERS


def bits_per_layer(record: PruningRecord) -> Figure:
    """Mean bits of each layer: all neurons before, the kept ones before, the kept ones after retraining."""
    layers = record.layers()
    series: list[tuple[str, str, str, float]] = [
        ("all neurons, before pruning", "mean_bits_before", BEFORE, 30),
        ("kept neurons, before pruning", "mean_bits_before_of_kept", KEPT, 45),
        ("kept neurons, after retraining", "mean_bits_after_of_kept", AFTER, 60),
    ]
    few = len(layers) <= FEW_LAYERS
    figure, axes = plt.subplots(figsize=(6.4, 1.5 + (0.5 if few else 0.22) * len(layers)), layout="constrained")
    for label, key, colour, size in series:
        points = [(getattr(layer, key), place) for place, layer in enumerate(layers)]
        points = [(value, place) for value, place in points if value is not None]
        if not points:
            continue
        axes.scatter(*zip(*points, strict=True), s=size, color=colour, label=label, zorder=3)
        for value, place in points if few else []:
            axes.annotate(f"{value:.2f}", (value, place), xytext=(0, 6), textcoords="offset points", ha="center",
                          fontsize=8)  # fmt: skip
    for place, layer in enumerate(layers):
        values = [getattr(layer, key) for _, key, _, _ in series if getattr(layer, key) is not None]
        axes.plot([min(values), max(values)], [place, place], color=GREY, alpha=0.35, linewidth=1, zorder=2)
    names = [f"{row.name}\n{row.kept:,} of {row.neurons:,} kept" if few else row.name for row in layers]
    axes.set_yticks(range(len(layers)), names, fontsize=8.5 if few else 7.5)
    axes.set_ylim(len(layers) - 0.5, -0.7)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GREY, alpha=0.15)
    axes.set_xlabel(f"mean mutual information with the label (bits; the label has {record.before.label_entropy:.2f})")
    figure.legend(loc="outside upper center", ncols=1, fontsize=8.5)
    return figure


def bits_per_neuron(record: PruningRecord) -> Figure:
    """Histogram of the bits when neurons were dropped, with the threshold if the criterion was in bits."""
    if record.selection is None:
        return histogram_of_bits(record.before.bits)
    in_bits = record.config["criterion"] == "mutual_information"
    return histogram_of_bits(
        record.before.bits, record.selection.kept, record.selection.threshold if in_bits else None
    )


def training_curve(record: PruningRecord, log_history: list[dict[str, Any]]) -> Figure:
    """Training loss and validation loss over optimizer steps, with the step at which neurons were dropped."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for key, label, colour, marker in (("loss", "training", BEFORE, None), ("eval_loss", "validation", AFTER, "o")):
        points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4)
    for each in record.pruning_steps:
        axes.axvline(each.step, color=GREY, linestyle="--", linewidth=1)
    what = "neurons dropped" if record.selection else "neurons scored"
    axes.annotate(
        what, (record.step, 1), xycoords=("data", "axes fraction"), xytext=(4, -10), textcoords="offset points",
        fontsize=8.5, color=GREY,
    )  # fmt: skip
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("cross-entropy (nats)")
    axes.set_ylim(bottom=0)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return figure


def sweep_curve(sweep: Sweep) -> Figure:
    """The chosen metric against neurons kept, with the margin and the chosen level marked."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    kept = [sum(level.kept.values()) for level in sweep.levels]
    values = [getattr(level, sweep.metric) for level in sweep.levels]
    axes.plot(kept, values, color=AFTER, linewidth=1.5, label="pruned, before retraining")
    dense, sign = sweep.dense[sweep.metric], 1 if sweep.metric == "loss" else -1
    axes.axhline(dense, color=GREY, linestyle=":", linewidth=1, label="dense")
    axes.axhspan(dense, dense + sign * sweep.margin, color=BEFORE, alpha=0.3, linewidth=0, label="margin")
    if sweep.chosen is not None:
        axes.plot(kept[sweep.chosen], values[sweep.chosen], "o", color=AFTER, markersize=7, label="chosen")
    axes.set_xlabel("neurons kept")
    axes.set_ylabel(f"validation {sweep.metric.replace('_', ' ')}")
    axes.legend(fontsize=8.5)
    return figure
