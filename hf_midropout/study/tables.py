"""A study's results as tables: one tidy one of everything, and what people read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..utils.files import write_bytes, write_text
from .comparing import Difference, holm, paired_difference
from .methods import KINDS, METHODS
from .pairs import pairs
from .plan import Run, rows_order


METRICS = {"accuracy": "accuracy", "loss": "loss (nats)", "expected_calibration_error": "calibration error"}
BASELINES = ("none_two_rates", "none")
"""Training without any: with the learning rates that the methods have, or with as many points as they have."""


def tidy(results: Sequence[tuple[Run, dict[str, Any]]]) -> pd.DataFrame:
    """A row for each dataset, size, method, seed and metric on test rows."""
    return pd.DataFrame(
        [
            (run.dataset, run.rows, run.method, METHODS[run.method].kind, outcome["seed"], metric, value)
            for run, result in results
            for outcome in result["seeds"]
            for metric, value in outcome["test"].items()
        ],
        columns=["dataset", "size", "method", "kind", "seed", "metric", "value"],
    )


def curves(results: Sequence[tuple[Run, dict[str, Any]]]) -> pd.DataFrame:
    """A row for each dataset, size, method, seed and evaluation on validation rows."""
    rows = [
        {"dataset": run.dataset, "size": run.rows, "method": run.method, "seed": outcome["seed"], **point}
        for run, result in results
        for outcome in result["seeds"]
        for point in outcome["curve"]
    ]
    return pd.DataFrame(rows)


def bits(results: Sequence[tuple[Run, dict[str, Any]]]) -> pd.DataFrame:
    """A row for each dataset, size, method, seed, time and layer, from 1 on: mean bits of its neurons."""
    return pd.DataFrame(
        [
            (run.dataset, run.rows, run.method, outcome["seed"], when, layer, value)
            for run, result in results
            for outcome in result["seeds"]
            for when, layers in outcome["bits"].items()
            for layer, value in enumerate(layers, 1)
        ],
        columns=["dataset", "size", "method", "seed", "when", "layer", "bits"],
    )


def settings(results: Sequence[tuple[Run, dict[str, Any]]]) -> pd.DataFrame:
    """
    A row for each dataset, size, method and point of its grid: metrics on validation rows, and which was chosen; of a
    reduced grid, its one point.
    """
    return pd.DataFrame(
        [
            {"dataset": run.dataset, "size": run.rows, "method": run.method, **point}
            | {"chosen": all(point[key] == result["setting"][key] for key in ("learning_rate", "value"))}
            for run, result in results
            for point in result["grid"] or [{**result["setting"], "accuracy": None, "loss": None}]
        ]
    )


def summary(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean and standard deviation over seeds: methods by (size, dataset)."""
    chosen = table[table.metric == metric]
    grouped = chosen.groupby(["method", "size", "dataset"]).value
    wide = grouped.agg(["mean", "std", "count"]).unstack(["size", "dataset"])
    return wide.reindex([name for name in METHODS if name in wide.index])


def baseline_of(methods: Iterable[str]) -> str | None:
    """The first of `BASELINES` among `methods`."""
    return next((name for name in BASELINES if name in set(methods)), None)


def differences(table: pd.DataFrame, metric: str) -> dict[tuple[str, str, str], Difference]:
    """
    Of each method from the baseline with the same seeds, by (dataset, size, method). p-values are corrected for all
    methods of a dataset and size.
    """
    wide = table[table.metric == metric].pivot_table(
        index=["dataset", "size", "seed"], columns="method", values="value"
    )
    found: dict[tuple[str, str, str], Difference] = {}
    baseline = baseline_of(wide.columns)
    if baseline is None:
        return found
    for (dataset, size), group in wide.groupby(["dataset", "size"]):
        here = {}
        for method in group:
            pair = group[[baseline, method]].dropna() if method != baseline else None
            if pair is not None and len(pair) > 1:
                here[method] = paired_difference(pair[method].tolist(), pair[baseline].tolist())
        corrected = holm([each.p_value for each in here.values()])
        for (method, each), p_value in zip(here.items(), corrected, strict=True):
            found[dataset, size, method] = replace(each, p_value=p_value)
    return found


def cell(mean: float, std: float, metric: str) -> str:
    """A number as tables show it: accuracy in percent."""
    scale, digits = (100, 2) if metric != "loss" else (1, 3)
    return f"{scale * mean:.{digits}f} ± {scale * std:.{digits}f}"


def readable(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """`summary` with text in its cells: mean ± standard deviation, * where it differs from the baseline (p < 0.05)."""
    numbers, differs = summary(table, metric), differences(table, metric)
    columns = {}
    for size, dataset in sorted(numbers["mean"].columns, key=lambda each: (rows_order(each[0]), each[1])):
        texts = []
        for method in numbers.index:
            mean, std = (numbers.loc[method, (each, size, dataset)] for each in ("mean", "std"))
            found = differs.get((dataset, size, method))
            texts.append(
                "" if pd.isna(mean) else cell(mean, std, metric) + (" *" if found and found.p_value < 0.05 else "")
            )
        columns[f"{dataset}, {size}"] = texts
    labels = [METHODS[name].label for name in numbers.index]
    return pd.DataFrame(columns, index=pd.Index(labels, name="method"))


def write_tables(results: Sequence[tuple[Run, dict[str, Any]]], folder: Path) -> pd.DataFrame:
    """
    Writes everything as parquet (results, curves, bits, settings, differences) and, of each metric, a table for people
    (markdown, LaTeX). Returns the results.
    """
    table = tidy(results)
    tables = {"results": table, "curves": curves(results), "bits": bits(results), "settings": settings(results)}
    tables["differences"] = pd.concat([pairs(table, metric) for metric in METRICS], ignore_index=True)
    for name, content in tables.items():
        write_bytes(folder / f"{name}.parquet", content.to_parquet(index=False))
    for metric in METRICS:
        shown = readable(table, metric)
        write_text(folder / f"{metric}.md", markdown(shown))
        write_text(folder / f"{metric}.tex", latex(shown, metric))
    return table


def markdown(table: pd.DataFrame) -> str:
    """As GitHub renders it, methods by kind."""
    head = ["method", *table.columns]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for kind, title in KINDS.items():
        names = [method.label for method in METHODS.values() if method.kind == kind and method.label in table.index]
        if names:
            lines.append(f"| **{title}** |" + " |" * len(table.columns))
        lines += ["| " + " | ".join([name, *table.loc[name]]) + " |" for name in names]
    return "\n".join(lines) + "\n"


def latex(table: pd.DataFrame, metric: str) -> str:
    """For a paper that loads booktabs."""
    clean = table.map(lambda text: text.replace("±", r"$\pm$").replace(" *", "$^{*}$"))
    rows = [r"\begin{tabular}{l" + "r" * len(clean.columns) + "}", r"\toprule"]
    rows += [" & ".join([METRICS[metric], *(_escaped(name) for name in clean.columns)]) + r" \\", r"\midrule"]
    rows += [" & ".join([_escaped(name), *clean.loc[name]]) + r" \\" for name in clean.index]
    return "\n".join([*rows, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _escaped(text: str) -> str:
    return "".join(f"\\{each}" if each in "&%$#_{}" else each for each in text)
