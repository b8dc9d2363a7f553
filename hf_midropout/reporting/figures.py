"""Figures of a training, as PNG files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from ..pruning.record import PruningRecord  # noqa: E402
from ..pruning.selection import Selection  # noqa: E402
from ..scoring.scores import NeuronScores  # noqa: E402


# Okabe and Ito's palette: told apart by colour-blind readers and in grey print.
BEFORE, KEPT, AFTER, GREY = "#9a9a9a", "#56b4e9", "#0072b2", "#444444"


def draw_figures(record: PruningRecord, log_history: list[dict[str, Any]], folder: str | os.PathLike) -> list[Path]:
    """
    Draws `bits_per_layer.png` (Figure 2 of the paper), `bits_per_neuron.png`, `training_curve.png` and, if a threshold
    was searched for, `sweep.png` into `folder`.

    Returns:
        `list[Path]`: the files, in that order.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    by_bits = record.config["criterion"] == "mutual_information"
    figures: dict[str, Callable[[], Figure]] = {
        "bits_per_layer": lambda: bits_per_layer(record),
        "bits_per_neuron": lambda: histogram_of_bits(record.before, record.selection, by_bits),
        "training_curve": lambda: training_curve(record, log_history),
    }
    searched = next((each.sweep for each in record.rounds if each.sweep), None)
    if searched:
        figures["sweep"] = lambda: sweep_curve(searched)
    return [draw(make_figure, folder / f"{name}.png") for name, make_figure in figures.items()]


def draw(make_figure: Callable[[], Figure], path: Path) -> Path:
    """Saves what `make_figure` draws in the package's style."""
    style = {
        "figure.dpi": 150,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "legend.frameon": False,
    }
    with plt.rc_context(style):
        figure = make_figure()
        figure.savefig(path, bbox_inches="tight")
        plt.close(figure)
    return path


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
        values = [layer[key] or 0.0 for layer in layers]
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
        range(len(layers)), [f"layer {i}\n{row['kept']} of {row['neurons']} kept" for i, row in enumerate(layers, 1)]
    )
    axes.set_ylabel("mean mutual information\nwith the label (bits)")
    figure.legend(loc="outside upper center", ncols=1, fontsize=8.5)
    return figure


def histogram_of_bits(scores: NeuronScores, selection: Selection | None = None, by_bits: bool = True) -> Figure:
    """
    Histogram of the bits of each layer's neurons, those kept and those dropped apart if there is a `selection`, with
    its threshold if it was made `by_bits`.
    """
    layers = scores.layers
    figure, all_axes = plt.subplots(
        len(layers), 1, figsize=(6.4, 1.2 + 1.35 * len(layers)), sharex=True, squeeze=False, layout="constrained"
    )
    ceiling = max(float(layer.bits.max()) for layer in layers.values()) or scores.label_entropy
    edges = [ceiling * step / 60 for step in range(61)]
    for index, (axes, (name, layer)) in enumerate(zip(all_axes.flat, layers.items(), strict=True), 1):
        bits = layer.bits.cpu()
        if selection:
            kept = selection.kept[name]
            axes.hist([bits[kept].numpy(), bits[~kept].numpy()], edges, stacked=True, color=[AFTER, BEFORE],
                      label=["kept", "dropped"])  # fmt: skip
            if by_bits:
                axes.axvline(selection.threshold[name], color=GREY, linestyle="--", linewidth=1,
                             label="lowest bits kept")  # fmt: skip
        else:
            axes.hist(bits.numpy(), edges, color=AFTER)
        axes.set_ylabel(f"layer {index}\nneurons")
    if selection:
        figure.legend(*all_axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8.5)
    moment = " when neurons were dropped" if selection else ""
    all_axes.flat[-1].set_xlabel(f"mutual information with the label{moment} (bits)")
    return figure


def training_curve(record: PruningRecord, log_history: list[dict[str, Any]]) -> Figure:
    """Training loss and validation loss over optimizer steps, with the step at which neurons were dropped."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for key, label, colour, marker in (("loss", "training", BEFORE, None), ("eval_loss", "validation", AFTER, "o")):
        points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4)
    for each in record.rounds:
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


def sweep_curve(sweep: dict[str, Any]) -> Figure:
    """The chosen metric against neurons kept, with the margin and the chosen level marked; see [`sweep.Sweep`]."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    metric, levels = sweep["metric"], sweep["levels"]
    kept = [sum(level["kept"].values()) for level in levels]
    axes.plot(kept, [level[metric] for level in levels], color=AFTER, linewidth=1.5, label="pruned, before retraining")
    dense, sign = sweep["dense"][metric], 1 if metric == "loss" else -1
    axes.axhline(dense, color=GREY, linestyle=":", linewidth=1, label="dense")
    axes.axhspan(dense, dense + sign * sweep["margin"], color=BEFORE, alpha=0.3, linewidth=0, label="margin")
    if sweep["chosen"] is not None:
        level = levels[sweep["chosen"]]
        axes.plot(kept[sweep["chosen"]], level[metric], "o", color=AFTER, markersize=7, label="chosen")
    axes.set_xlabel("neurons kept")
    axes.set_ylabel(f"validation {metric.replace('_', ' ')}")
    axes.legend(fontsize=8.5)
    return figure
