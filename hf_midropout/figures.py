"""Figures of a training, as PNG files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import matplotlib


matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402

from .pruning_record import PruningRecord  # noqa: E402


# Okabe and Ito's palette: told apart by colour-blind readers and in grey print.
BEFORE, KEPT, AFTER, GREY = "#9a9a9a", "#56b4e9", "#0072b2", "#444444"


def draw_figures(record: PruningRecord, log_history: list[dict[str, Any]], folder: str | os.PathLike) -> list[Path]:
    """
    Draws `bits_per_layer.png` (Figure 2 of the paper), `bits_per_neuron.png` and `training_curve.png` into `folder`.

    Returns:
        `list[Path]`: the files, in that order.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    style = {
        "figure.dpi": 150,
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": GREY,
        "legend.frameon": False,
    }
    paths = []
    with plt.rc_context(style):
        for name, draw in (
            ("bits_per_layer.png", lambda: bits_per_layer(record)),
            ("bits_per_neuron.png", lambda: bits_per_neuron(record)),
            ("training_curve.png", lambda: training_curve(record, log_history)),
        ):
            figure = draw()
            figure.savefig(folder / name, bbox_inches="tight")
            plt.close(figure)
            paths.append(folder / name)
    return paths


def bits_per_layer(record: PruningRecord):
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


def bits_per_neuron(record: PruningRecord):
    """Histogram of bits of each layer's neurons at the time of pruning, kept and dropped."""
    layers = record.before.layers
    figure, all_axes = plt.subplots(
        len(layers), 1, figsize=(6.4, 1.2 + 1.35 * len(layers)), sharex=True, squeeze=False, layout="constrained"
    )
    ceiling = max(float(layer.bits.max()) for layer in layers.values()) or record.before.label_entropy
    edges = [ceiling * step / 60 for step in range(61)]
    for index, (axes, (name, layer)) in enumerate(zip(all_axes.flat, layers.items(), strict=True), 1):
        bits = layer.bits.cpu()
        if record.selection:
            kept = record.selection.kept[name]
            axes.hist([bits[kept].numpy(), bits[~kept].numpy()], edges, stacked=True, color=[AFTER, BEFORE],
                      label=["kept", "dropped"])  # fmt: skip
            axes.axvline(record.selection.threshold[name], color=GREY, linestyle="--", linewidth=1,
                         label="lowest bits kept")  # fmt: skip
        else:
            axes.hist(bits.numpy(), edges, color=AFTER, label="kept")
        axes.set_ylabel(f"layer {index}\nneurons")
    figure.legend(*all_axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3, fontsize=8.5)
    all_axes.flat[-1].set_xlabel("mutual information with the label when neurons were dropped (bits)")
    return figure


def training_curve(record: PruningRecord, log_history: list[dict[str, Any]]):
    """Training loss and validation loss over optimizer steps, with the step at which neurons were dropped."""
    figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
    for key, label, colour, marker in (("loss", "training", BEFORE, None), ("eval_loss", "validation", AFTER, "o")):
        points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4)
    axes.axvline(record.step, color=GREY, linestyle="--", linewidth=1)
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
