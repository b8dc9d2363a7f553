"""
Draws the pictures of README.md and `docs/` into `docs/images/`, from the package itself and its result files.

    python scripts/draw_docs.py

`first_look` is for the README, `encoder_criteria` for the benchmarks; `information`, `copies`, `refit`,
`refit_accuracy` and `search` are for the concepts; those of the study are in `study_pictures.py`.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path

import study_pictures
import torch
from torch import nn

from hf_midropout.groups import Groups, PrunableGroup, Rows
from hf_midropout.information import mutual_information
from hf_midropout.information.joint import greedy_log_determinant
from hf_midropout.information.moments import SecondMoments
from hf_midropout.pruning.head.reconstruction import Reconstruction
from hf_midropout.reporting.figure_list import FIGURES, Drawable
from hf_midropout.reporting.report import Report
from hf_midropout.utils.plotting import AFTER, BEFORE, GREY, KEPT, STYLE, plt


ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "scripts" / "benchmarks" / "results"
ORANGE, GREEN = "#d55e00", "#009e73"
WIDTH = 7.2
SVG = {
    "svg.fonttype": "none",  # text that can be read, selected and enlarged
    "svg.hashsalt": "hf_midropout",
    "font.family": ["DejaVu Sans", "sans-serif"],
    "figure.facecolor": "white",  # also on a dark page
}


def results(name: str) -> dict:
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def mean_accuracy(runs: list[dict], what: str) -> float:
    """In percent, over the runs that have it."""
    return 100 * statistics.mean(run[what]["accuracy"] for run in runs if what in run)


def first_look():
    """Accuracy of an encoder by the fraction of neurons kept, beside controls; and how much faster it is."""
    runs = list(results("encoder_ag_news_20000_rows")["runs"].values())
    latency = results("encoder_latency")["models"]["own"]["batches"]["32"]["pytorch"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.9), width_ratios=[2, 1], layout="constrained")
    fractions = ["0.5", "0.25", "0.125"]
    lines = (
        ("prediction_information", "this package's default", AFTER, "o-"),
        ("std_times_norm", "std × norm", GREEN, "s--"),
        ("random", "random", BEFORE, "x:"),
        ("magnitude", "magnitude", ORANGE, "^--"),
    )
    for criterion, label, colour, style in lines:
        means = [mean_accuracy(runs, f"{criterion}/{fraction}") for fraction in fractions]
        left.plot(range(len(fractions)), means, style, color=colour, label=label, lw=2, ms=6)
    dense = mean_accuracy(runs, "dense")
    left.axhline(dense, color=GREY, lw=1)
    left.annotate("all neurons", (2, dense), (0, 3), textcoords="offset points",
                  ha="right", color=GREY)  # fmt: skip
    left.set_xticks(range(len(fractions)), [f"{100 * float(fraction):g}%" for fraction in fractions])
    left.set_xlabel("feed-forward neurons kept, one shot, refitted")
    left.set_ylabel("test accuracy (%)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
    widths = ["dense", "0.5", "0.25", "0.125"]
    bars = right.bar(range(len(widths)), [latency[width]["times_faster"] for width in widths], color=KEPT, width=0.7)
    bars[0].set_color(BEFORE)
    right.bar_label(bars, fmt="%.1f")
    right.set_xticks(range(len(widths)), ["100%", "50%", "25%", "12.5%"])
    right.set_xlabel("neurons kept")
    right.set_ylabel("times faster")
    return figure


def encoder_criteria():
    """Bits and points of accuracy that an encoder loses by each criterion, against the fraction of neurons kept."""
    (run,) = results("encoder_ag_news_20000_rows")["runs"].values()
    fractions = ["0.5", "0.25", "0.125"]
    lines = {
        "prediction_information": (AFTER, "o-", "prediction information (the default)"),
        "brain_surgeon": (GREEN, "s--", "optimal brain surgeon"),
        "std_times_norm": (KEPT, "^--", "std × norm"),
        "taylor": ("#cc79a7", "v:", "Taylor"),
        "magnitude": (GREY, "d:", "magnitude"),
        "mutual_information": (ORANGE, "P:", "mutual information with the label"),
        "random": (BEFORE, "x:", "random"),
    }
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
    for criterion, (colour, style, label) in lines.items():
        measured = [run[f"{criterion}/{fraction}"] for fraction in fractions]
        bits = [each["bits_lost"] for each in measured]
        points = [100 * (run["dense"]["accuracy"] - each["accuracy"]) for each in measured]
        left.plot(range(len(fractions)), bits, style, color=colour, label=label, ms=5)
        right.plot(range(len(fractions)), points, style, color=colour, ms=5)
    left.set_yscale("log")
    left.set_title("bits lost about the prediction")
    right.set_title("points of accuracy lost")
    for axes in (left, right):
        axes.set_xticks(range(len(fractions)), [f"{100 * float(fraction):g}%" for fraction in fractions])
        axes.set_xlabel("feed-forward neurons kept")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8.5)
    return figure


def information():
    """Three neurons by class, with the bits that each carries."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4000) % 2
    noise = torch.randn(4000, 3, generator=generator)
    activations = noise + labels[:, None] * torch.tensor([0.0, 1.5, 5.0])
    bits, _ = mutual_information(activations, labels)
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.4), sharey=True, layout="constrained")
    for number, ax in enumerate(axes):
        values = activations[:, number]
        edges = torch.linspace(float(values.min()), float(values.max()), 45).tolist()
        for label, colour in ((0, ORANGE), (1, AFTER)):
            ax.hist(values[labels == label].tolist(), edges, color=colour, alpha=0.6, label=f"class {label}")
        ax.set_title(f"{bits[number]:.2f} bits", fontweight="bold")
        ax.set_xlabel("activation")
        ax.set_yticks([])
    axes[0].set_ylabel("rows")
    axes[0].legend(loc="upper left", fontsize=9, handlelength=1)
    axes[0].set_ylim(0, axes[0].get_ylim()[1] * 1.25)
    return figure


def copies():
    """What mutual information and joint information keep of six neurons that carry two signals."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(6000) % 4
    first, second = (labels // 2).float() * 2 - 1, (labels % 2).float() * 2 - 1
    signal = torch.stack([first * 1.3] * 4 + [second * 0.9] * 2, 1)
    shared = torch.randn(6000, 2, generator=generator)[:, [0, 0, 0, 0, 1, 1]]  # copies share their noise, nearly
    activations = signal + shared + 0.15 * torch.randn(6000, 6, generator=generator)
    bits, _ = mutual_information(activations, labels)
    moments = SecondMoments(6, num_classes=4)
    moments.update(activations, labels)
    order, _ = greedy_log_determinant(*moments.covariances())
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.5), sharey=True, layout="constrained")
    kept = {"mutual information": bits.argsort(descending=True)[:2], "joint information": order[:2]}
    for ax, (title, chosen) in zip(axes, kept.items(), strict=True):
        chosen = set(chosen.tolist())
        both = bits_together(activations[:, sorted(chosen)], labels)
        ax.bar(range(6), bits.tolist(), color=[AFTER if number in chosen else BEFORE for number in range(6)])
        ax.set_xticks(range(6), ["A", "A", "A", "A", "B", "B"])
        ax.set_title(f"kept by {title}:\n{both:.2f} bits together")
        ax.set_xlabel("neuron, by the signal it carries")
    axes[0].set_ylabel("bits about the label")
    return figure


def bits_together(activations: torch.Tensor, labels: torch.Tensor) -> float:
    """Bits that neurons carry together, if they are Gaussian with one covariance: entropy less cross-entropy."""
    classes = int(labels.max()) + 1
    means = torch.stack([activations[labels == label].mean(0) for label in range(classes)])
    precision = torch.linalg.inv(torch.cov((activations - means[labels]).t()))
    away = activations[:, None] - means
    logits = -0.5 * torch.einsum("ncj,jk,nck->nc", away, precision, away)
    return math.log2(classes) - float(nn.functional.cross_entropy(logits, labels)) / math.log(2)


class TwoLayers(nn.Module):
    """Neurons, and one unit of the next layer that reads them."""

    def __init__(self, neurons: int):
        super().__init__()
        self.neurons, self.next = nn.Linear(8, neurons), nn.Linear(neurons, 1)


def refit():
    """What one unit of the next layer computes with half of the neurons, as they are, with means folded, refitted."""
    torch.manual_seed(0)
    network, inputs = TwoLayers(24), torch.randn(1200, 8)
    network.neurons.bias.data += 1.0
    units = network.neurons(inputs).relu().detach()
    groups: Groups = {"neurons": PrunableGroup("neurons", (Rows("neurons"),), "next", 24)}
    moments = SecondMoments(24)
    moments.update(units)
    kept = torch.arange(24) % 2 == 0
    dense = network.next(units).detach().flatten()
    panels = {"as they are": (network.next.weight.data, network.next.bias.data)}
    for kind, title in (("mean", "means in the bias"), ("least_squares", "refitted")):
        result = Reconstruction(network, groups, {"neurons": moments.moments()}, kind).refit({"neurons": kept})
        panels[title] = (result.weights["neurons"], result.biases["neurons"])
    figure, axes = plt.subplots(1, 3, figsize=(WIDTH, 2.7), sharex=True, sharey=True, layout="constrained")
    for ax, (title, (weight, bias)) in zip(axes, panels.items(), strict=True):
        pruned = ((units * kept) @ weight.t() + bias).flatten()
        error = float((pruned - dense).var() + (pruned - dense).mean() ** 2) / float(dense.var())
        ax.plot(dense[:200], pruned[:200], ".", color=AFTER, ms=3, alpha=0.5)
        ax.axline((0, 0), slope=1, color=GREY, lw=1)
        ax.set_title(f"{title}\nerror {100 * error:.0f}%")
        ax.set_xlabel("with all neurons")
    axes[0].set_ylabel("with half of them")
    return figure


def refit_accuracy():
    """Accuracy of a head that is pruned by several criteria, as it is and refitted."""
    accuracy = results("criteria")["accuracy"]
    names = {"joint_information": "joint information", "mutual_information": "mutual information",
             "activation": "std × norm", "magnitude": "magnitude", "random": "random"}  # fmt: skip
    colours = (GREEN, AFTER, KEPT, ORANGE, BEFORE)
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 2.9), sharey=True, layout="constrained")
    for ax, kind, title in zip(axes, ("none", "least_squares"), ("as it is", "refitted"), strict=True):
        for (key, label), colour in zip(names.items(), colours, strict=True):
            cells = [accuracy[f"{key}/{keep}/{kind}"] for keep in ("0.5", "0.25", "0.1")]
            ax.errorbar(range(3), [100 * cell["mean"] for cell in cells], [100 * cell["std"] for cell in cells],
                        color=colour, label=label, marker="o", ms=4, capsize=3)  # fmt: skip
        ax.axhline(100 * accuracy["dense"]["mean"], color=GREY, lw=1)
        ax.set_title(title)
        ax.set_xticks(range(3), ["50%", "25%", "10%"])
        ax.set_xlabel("neurons kept")
    axes[0].set_ylabel("test accuracy (%)")
    axes[0].legend(loc="lower left", fontsize=8)
    return figure


def search():
    """The search of the demo: the package's own figure of the report."""
    it = Drawable(Report.load(RESULTS, "python_docs_search"), {})
    return next(entry for entry in FIGURES if entry.name == "sweep").draw(it)


PICTURES: dict[str, Callable] = {
    function.__name__: function
    for function in (first_look, encoder_criteria, information, copies, refit, refit_accuracy, search)
} | study_pictures.PICTURES


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Draws the pictures of the documentation.", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=list(PICTURES), help="Pictures to draw.")
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images", help="To draw into.")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        with plt.rc_context(STYLE | SVG):
            figure = PICTURES[name]()
            path = options.folder / f"{name}.svg"
            figure.savefig(path, metadata={"Date": None})
            plt.close(figure)
        print(path)


if __name__ == "__main__":
    main()
