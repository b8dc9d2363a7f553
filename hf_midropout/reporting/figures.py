"""Figures of the report that are drawn from the record alone."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from ..pruning.record import PruningRecord
from ..pruning.record_schema import Sweep
from ..scoring.histogram import histogram_of_bits
from ..utils.plotting import AFTER, BEFORE, GREY, KEPT, plt


def bits_per_layer(record: PruningRecord) -> Figure:
    """Mean bits of each layer: all neurons before, the kept ones before, the kept ones after retraining."""
    layers = record.layers()
    series = [
        ("before pruning, all neurons", "mean_bits_before", BEFORE),
        ("before pruning, the kept neurons", "mean_bits_before_of_kept", KEPT),
        ("after retraining, the kept neurons", "mean_bits_after_of_kept", AFTER),
    ]
    figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
    for offset, (label, key, colour) in zip((-0.27, 0.0, 0.27), series, strict=True):
        values = [getattr(layer, key) or 0.0 for layer in layers]
        bars = axes.bar([index + offset for index in range(len(layers))], values, 0.25, label=label, color=colour)
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
    axes.axhline(record.before.label_entropy, color=GREY, linestyle=":", linewidth=1)
    axes.annotate(
        f"entropy of the label, {record.before.label_entropy:.2f} bits",
        (1, record.before.label_entropy), xycoords=("axes fraction", "data"),
        xytext=(0, 3), textcoords="offset points", ha="right", fontsize=8, color=GREY,
    )  # fmt: skip
    axes.set_ylim(0, record.before.label_entropy * 1.12)
    axes.set_xticks(
        range(len(layers)), [f"layer {i}\n{row.kept} of {row.neurons} kept" for i, row in enumerate(layers, 1)]
    )
    axes.set_ylabel("mean mutual information\nwith the label (bits)")
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
