"""
Draws docs/encoder_pruning.png from a committed result of scripts/benchmarks/encoder.py, and prints its table.

    python scripts/draw_encoder.py
"""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from hf_midropout.utils.plotting import AFTER, BEFORE, GREY, KEPT, draw, plt


ROOT = Path(__file__).parents[1]
RESULT = ROOT / "scripts" / "benchmarks" / "results" / "encoder_ag_news_20000_rows.json"
LINES = {
    "prediction_information": (AFTER, "o-", "prediction information (the default)"),
    "brain_surgeon": ("#009e73", "s--", "optimal brain surgeon"),
    "std_times_norm": (KEPT, "^--", "std x outgoing norm"),
    "taylor": ("#cc79a7", "v:", "Taylor"),
    "magnitude": (GREY, "d:", "magnitude"),
    "mutual_information": ("#e69f00", "P:", "mutual information with the label"),
    "random": (BEFORE, "x:", "random"),
}
"""Criterion: colour, style, name."""


def values(runs: dict[str, Any], criterion: str, keep: float, name: str, suffix: str = "") -> list[float]:
    """Of every dataset and seed: bits lost, or points of accuracy lost."""
    found = []
    for run in runs.values():
        each = run.get(f"{criterion}/{keep}{suffix}")
        if each:
            found.append(each["bits_lost"] if name == "bits" else 100 * (run["dense"]["accuracy"] - each["accuracy"]))
    return found


def make_figure(runs: dict[str, Any], keeps: list[float]) -> Figure:
    """Bits and points of accuracy lost against the share of neurons kept, means over datasets and seeds."""
    figure, both = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
    for axes, name, label in zip(both, ("bits", "points"), ("bits lost about the prediction (lower is better)",
                                                            "points of accuracy lost"), strict=True):  # fmt: skip
        for criterion, (color, style, title) in LINES.items():
            at = [keep for keep in keeps if values(runs, criterion, keep, name)]
            means = [statistics.mean(values(runs, criterion, keep, name)) for keep in at]
            axes.plot(at, means, style, color=color, label=title, markersize=5, linewidth=1.4)
        axes.set_xscale("log", base=2)
        axes.set_xticks(keeps, [f"{100 * keep:g}%" for keep in keeps])
        axes.minorticks_off()
        axes.invert_xaxis()
        axes.set_xlabel("feed-forward neurons kept")
        axes.set_title(label, fontsize=10)
        if name == "bits":
            axes.set_yscale("log")
    figure.legend(*both[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8.5)
    return figure


def table(runs: dict[str, Any], keeps: list[float], criteria: list[str]) -> str:
    """Markdown: mean ± standard deviation over datasets and seeds, of points and of bits."""
    lines = [f"| criterion | {' | '.join(f'{100 * keep:g}%' for keep in keeps)} |", "|---" * (len(keeps) + 1) + "|"]
    for suffix in ("", "/retrained"):
        for criterion in criteria:
            cells = []
            for keep in keeps:
                points = values(runs, criterion, keep, "points", suffix)
                bits = values(runs, criterion, keep, "bits", suffix)
                cells.append("")
                if points:
                    spread = statistics.stdev(points) if len(points) > 1 else 0.0
                    cells[-1] = f"{statistics.mean(points):.2f} ± {spread:.2f} ({statistics.mean(bits):.4f})"
            if any(cells):
                lines.append(f"| {criterion}{suffix.replace('/', ', ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    content = json.loads(RESULT.read_text())
    runs, options = content["runs"], content["options"]
    keeps = sorted({float(key.split("/")[1]) for run in runs.values() for key in run if "/" in key}, reverse=True)
    draw(lambda: make_figure(runs, keeps), ROOT / "docs" / "encoder_pruning.png")
    print(f"{len(runs)} runs; points of accuracy lost, mean ± std, and in brackets mean bits lost")
    print(table(runs, keeps, options["criteria"]))
    datasets = sorted({key.split("/")[0] for key in runs})
    for name in datasets:
        print(f"\n{name}")
        print(table({key: run for key, run in runs.items() if key.startswith(name)}, keeps, options["criteria"]))


if __name__ == "__main__":
    main()
