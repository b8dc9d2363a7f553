"""The page of a study: what came out, how it was made, tables and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..utils.files import write_text
from ..utils.terminal import printable
from .comparing import Difference
from .methods import CONTROL, METHODS, PAPER, VARIANT
from .pairs import pairs, tally
from .plan import Run, Suite, rows_label, rows_order
from .tables import BASELINES, METRICS, baseline_of, cell, curves, differences, markdown, readable


PAGE = "README.md"
GRID_POINTS = 6
"""Of every method but the baseline that has no other number than its learning rate."""
FIGURES = (
    ("differences", "Differences from training without any", "Points of test accuracy, with 95% intervals."),
    (
        "accuracy_per_epoch",
        "Accuracy over the training (Figure 3 of the paper)",
        "On validation rows; dotted: pruning.",
    ),
    (
        "bits_per_layer",
        "Bits per layer, before and after (Figure 2 of the paper)",
        "Dropping the lowest raises a mean by arithmetic: compare the second and third bar, the same neurons.",
    ),
)


def verdict(table: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """
    Of each dataset and size: the highest test accuracy of all methods, training without any, and of MI-Dropout, its
    variants and its controls the one that has the highest accuracy on validation rows.
    """
    means = table[table.metric == "accuracy"].groupby(["size", "dataset", "method"]).value.agg(["mean", "std"])
    last = curves[curves.step == curves.groupby(["dataset", "size", "method"]).step.transform("max")]
    validation = last.groupby(["size", "dataset", "method"]).accuracy.mean()
    found, sentences = differences(table, "accuracy"), []
    name_of_baseline = baseline_of(set(table.method))
    baseline = METHODS[name_of_baseline].label if name_of_baseline else None
    places = {(size, dataset) for size, dataset, _ in means.index}
    for size, dataset in sorted(places, key=lambda place: (rows_order(place[0]), place[1])):
        here = means.loc[size, dataset]
        told = [f"**{dataset}, {size} rows**: highest of {len(here)}: {_highest(here)}"]
        told += [_told(name, here) for name in BASELINES if name in here.index]
        for title, belongs in (
            ("MI-Dropout as in the paper", lambda method: method.kind == PAPER),
            ("its variants", lambda method: method.kind == VARIANT),
            ("controls at the same budget", lambda method: method.kind == CONTROL and method.pruning),
        ):
            names = [name for name in here.index if belongs(METHODS[name])]
            if names:
                name = validation.loc[size, dataset][names].idxmax()
                told.append(f"{title}: {_told(name, here)}{_beside(found.get((dataset, size, name)), baseline)}")
        sentences.append("; ".join(told) + ".")
    return sentences


def _highest(here: pd.DataFrame) -> str:
    highest = here["mean"].max()
    names = here.index[np.isclose(here["mean"], highest, rtol=0, atol=1e-9)]
    if len(names) == 1:
        return _told(names[0], here)
    labels = ", ".join(METHODS[name].label for name in METHODS if name in names)
    return f"{len(names)} are highest together with {100 * highest:.2f}% ({labels})"


def _told(name: str, here: pd.DataFrame) -> str:
    return f"{METHODS[name].label} {cell(here['mean'][name], here['std'][name], 'accuracy')}%"


def _beside(difference: Difference | None, baseline: str | None) -> str:
    if difference is None:
        return ""
    if np.isnan(difference.p_value):
        return f" ({100 * difference.mean:+.2f} points from {baseline} with every seed, which allows no test)"
    mean, low, high = (f"{100 * each:+.2f}" for each in (difference.mean, difference.low, difference.high))
    return f" ({mean} points from {baseline}, 95% interval {low} to {high}, p = {difference.p_value:.2g})"


def write_page(
    results: Sequence[tuple[Run, dict[str, Any]]],
    table: pd.DataFrame,
    suite: Suite,
    encoder: str,
    folder: Path,
    drawn: Sequence[Path] = (),
    missing: Mapping[Run, str] | None = None,
) -> Path:
    """
    Writes the page beside the tables and figures.

    Args:
        results (`Sequence`): Runs and what they gave.
        table (`pandas.DataFrame`): What [`tables.tidy`] makes of them.
        suite ([`Suite`]): The budget.
        encoder (`str`): Name of the encoder.
        folder (`Path`): The study's, with `figures/`.
        drawn (`Sequence[Path]`, *optional*): The figures of these results.
        missing (`Mapping[Run, str]`, *optional*): Runs without a result, with the reason.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    found, baseline = pairs(table, "accuracy"), baseline_of(table.method)
    text = environment.get_template("study.md").render(
        verdict=verdict(table, curves(results)),
        baseline=METHODS[baseline].label if baseline else None,
        tally=markdown(tally(found)) if len(found) else None,
        suite=suite,
        budgets=[(rows_label(size), *suite.budget(size)) for size in _sizes(results)],
        other_grids=dict(_other_grids(results)),
        encoder=encoder,
        missing={str(run): printable(reason, 300) for run, reason in (missing or {}).items()},
        rows={run.dataset: result["rows"] for run, result in results},
        tables=[
            {"title": title + (" (%)" if metric != "loss" else ""), "text": markdown(readable(table, metric))}
            for metric, title in METRICS.items()
        ],
        figures=[
            {"name": name, "title": title, "text": text}
            for name, title, text in FIGURES
            if name in {path.stem for path in drawn}
        ],
    )
    write_text(folder / PAGE, text)
    return folder / PAGE


def _sizes(results: Sequence[tuple[Run, dict[str, Any]]]) -> list[int]:
    return sorted({run.size for run, _ in results}, key=rows_order)


def _other_grids(results: Sequence[tuple[Run, dict[str, Any]]]) -> Iterator[tuple[str, int]]:
    """The methods that do not have a grid of six points, and how many they have."""
    for name in dict.fromkeys(run.method for run, _ in results):
        points = len(list(METHODS[name].settings()))
        if points != GRID_POINTS:
            yield METHODS[name].label, points
