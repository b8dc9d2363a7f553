"""The answer as a picture: accuracy beside the dense network, the controls and the largest class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..utils.plotting import AFTER, BEFORE, GREY, KEPT, plt
from .compared import compared
from .parts import criterion_name, read_baselines
from .report import Report
from .verdict import difference_from_dense, standard_error


@dataclass
class Dot:
    """`name`, `accuracy` and its `stderr` (shares), and whether it is the network that was saved (`ours`)."""

    name: str
    accuracy: float
    stderr: float
    ours: bool = False


def panels(report: Report) -> list[tuple[str, list[Dot]]]:
    """Titles and dots, from top to bottom."""
    test, dense = report.test, report.dense_test
    assert test is not None and test.accuracy is not None
    if report.encoder is not None:
        dots = [
            Dot(each.name, each.metrics.accuracy or 0.0, each.to_dense.accuracy.stderr if each.to_dense else 0.0,
                each.chosen)
            for each in compared(report)
        ]  # fmt: skip
        return [(f"accuracy on {test.rows:,} {test.split} rows (%)", dots)]
    dots = [Dot("this model", test.accuracy, standard_error(test.accuracy, test.rows), True)]
    if dense is not None and dense.accuracy is not None:
        dots = [
            Dot("dense", dense.accuracy, 0.0),
            Dot("this model", test.accuracy, difference_from_dense(report)[0].stderr, True),
        ]
    found = [(f"accuracy on {test.rows:,} {test.split} rows (%)", dots)]
    baselines = read_baselines(report)
    if baselines is not None and baselines["rows"]:
        rows = baselines["rows"]
        others = [
            Dot(each["name"].split(" (")[0], share, standard_error(share, rows), each["used"])
            for each in baselines["one_shot"]
            if (share := each["accuracy"]) is not None
        ]
        found.append((f"right after pruning, on {rows:,} validation rows (%)", others))
    return found


def accuracy(report: Report) -> Figure:
    """Dots with two standard errors: of the difference from the dense network where that is known, else of itself."""
    parts = panels(report)
    heights = [0.75 + 0.3 * len(dots) for _, dots in parts]
    figure, all_axes = plt.subplots(
        len(parts), 1, figsize=(5.2, sum(heights) + 0.1), height_ratios=heights, squeeze=False, layout="constrained"
    )
    part = report.encoder or report.beside
    for axes, (title, dots) in zip(all_axes.flat, parts, strict=True):
        for place, dot in enumerate(dots):
            style: dict[str, Any] = {"fmt": "o", "color": AFTER if dot.ours else BEFORE, "elinewidth": 1.8}
            axes.errorbar(100 * dot.accuracy, place, xerr=200 * dot.stderr, **style)
            axes.annotate(
                f"{100 * dot.accuracy:.1f}", (100 * dot.accuracy, place), xytext=(0, 4), textcoords="offset points",
                ha="center", fontsize=8.5,
            )  # fmt: skip
        lowest = min(dot.accuracy for dot in dots)
        if part is not None and lowest - part.largest_class < 0.15 and axes is all_axes.flat[0]:
            axes.axvline(100 * part.largest_class, color=KEPT, linestyle="--", linewidth=1)
            axes.annotate(
                "largest class", (100 * part.largest_class, 1), xycoords=("data", "axes fraction"), xytext=(0, 2),
                textcoords="offset points", ha="center", fontsize=8.5,
            )  # fmt: skip
        if dots[0].name == "dense":
            axes.axvline(100 * dots[0].accuracy, color=GREY, linestyle=":", linewidth=1)
        axes.set_yticks(range(len(dots)), [dot.name for dot in dots])
        axes.set_ylim(len(dots) - 0.4, -0.75)
        axes.margins(x=0.12)
        axes.set_xlabel(title)
        axes.tick_params(axis="y", length=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x", color=GREY, alpha=0.15)
    return figure


def accuracy_in_words(report: Report) -> str:
    """Of the figure."""
    criterion = "" if report.encoder is not None else f" Neurons were chosen by {criterion_name(report.pruning)}."
    told = [
        f"{title.replace(' (%)', '')}: "
        + ", ".join(f"{dot.name} {100 * dot.accuracy:.1f}% ± {100 * dot.stderr:.1f}" for dot in dots)
        for title, dots in panels(report)
    ]
    return f"Dots with error bars. {'; '.join(told)}.{criterion}"
