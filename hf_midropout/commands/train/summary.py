"""The end of `hf-midropout train`, for a person."""

from __future__ import annotations

import shlex
from pathlib import Path

from ...pruning.record.schema import Baselines, Metrics, Sweep
from ...reporting.parts import in_order
from ...reporting.report import Report
from ...reporting.verdict import p_value, verdict
from ...utils.narration import is_quiet, write
from ...utils.report_names import REPORT_NAME
from ...utils.terminal import folded, one_line


def print_summary(report: Report, folder: Path, figures: list[str]) -> None:
    """The end of the run, for a person: tables, verdict, what to type next; with `--quiet` the verdict only."""
    if not is_quiet():
        print_tables(report)
        write()
    for line in verdict(report):
        write(folded(line))
    if is_quiet():
        return
    saved = f"Saved in {folder}: the checkpoint, {', '.join([REPORT_NAME, *figures])}."
    scoring = sum(each.seconds["scoring"] for each in (report.pruning.pruning_steps if report.pruning else []))
    peak = report.environment["peak_memory_mib"]
    write("\n" + folded(saved, "  "))
    write(
        f"{report.seconds['total']:.0f} s, of which scoring {scoring:.1f} s"
        + (f"; peak memory {peak:,} MiB." if peak else ".")
    )
    write(f"Next: hf-midropout report {shlex.quote(one_line(folder, 500))}")


def print_tables(report: Report) -> None:
    """Metrics, bits by layer, the search and the controls, in 80 columns."""
    pruning, test, dense = report.pruning, report.test, report.dense_test
    assert pruning is not None and test is not None  # of a run that is finished
    kept = sum(layer.kept for layer in pruning.layers)
    neurons = sum(layer.neurons for layer in pruning.layers)

    write(f"\n{'':<34}{'neurons':>8}{'accuracy':>10}{'macro F1':>10}{'loss':>8}")
    for moment, count in (("before_pruning", neurons), ("after_pruning", kept), ("after_retraining", kept)):
        metrics = getattr(pruning.validation, moment)
        if metrics:
            print_metrics(f"validation, {moment.replace('_', ' ')}", count, metrics)
    if dense is not None:
        print_metrics(f"{dense.split}, dense training", neurons, dense)
    print_metrics(f"{test.split}, compact model", kept, test)

    if pruning.validation.before_pruning and kept < neurons and dense is None:
        write("Before pruning the training was not over: do not compare the last row with it.")

    ceiling = pruning.label_entropy_bits
    write(f"\n{'':<27}{'neurons':>14}{'mean bits per neuron (label: ' + format(ceiling, '.2f') + ')':>38}")
    write(f"{'layer':<27}{'before':>7}{'kept':>7}{'before':>10}{'kept, before':>14}{'kept, after':>14}")
    for layer in pruning.layers:
        write(
            f"{shortened(layer.name, 26):<27}{layer.neurons:>7}{layer.kept:>7}{layer.mean_bits_before:>10.3f}"
            f"{layer.mean_bits_before_of_kept:>14.3f}{layer.mean_bits_after_of_kept:>14.3f}"
        )
    if pruning.refused:
        write("\n" + folded(f"Nothing was dropped: {pruning.refused}"))
    last = pruning.pruning_steps[-1]
    if last.sweep:
        print_search(last.sweep)
    if last.baselines:
        print_baselines(last.baselines, pruning.config["criterion"])


def shortened(name: str, most: int) -> str:
    """`name` in at most so many columns; of one that is longer, its end."""
    return name if len(name) <= most else "..." + name[3 - most :]


def print_metrics(title: str, neurons: int, metrics: Metrics) -> None:
    """One row of the summary."""
    write(f"{title:<34}{neurons:>8}{metrics.accuracy:>10.4f}{metrics.macro_f1:>10.4f}{metrics.loss:>8.4f}")


def print_search(sweep: Sweep) -> None:
    """What the search of the threshold tried and chose."""
    told = f"Search: {len(sweep.levels)} masks on {sweep.rows:,} validation rows; "
    if sweep.chosen is None:
        write("\n" + folded(f"{told}none was chosen."))
        return
    level = sweep.levels[sweep.chosen]
    told += (
        f"the smallest network shown to be worse by less than {sweep.margin} in {sweep.metric} is worse by "
        f"{level.difference:.4f} ± {level.stderr:.4f} ({p_value(level.p_value)})."
    )
    write("\n" + folded(told))


def print_baselines(baselines: Baselines, criterion: str) -> None:
    """One row for each criterion at the same budget, in the order in which page and card have them."""
    in_bits = all(metrics.bits_lost is not None for metrics in baselines.one_shot.values())
    spreads = {name: spread(metrics) for name, metrics in baselines.one_shot.items()}
    width = max(map(len, spreads.values()))
    heading = "right after pruning, as many neurons chosen by"
    write(f"\n{heading:<48}{'accuracy':>10}{'':<{width}}{'bits lost' if in_bits else 'loss':>{10 if in_bits else 8}}")
    for name in in_order(baselines.one_shot, criterion):
        metrics = baselines.one_shot[name]
        mark = " (used)" if name == criterion else ""
        last = f"{metrics.bits_lost:>10.4f}" if in_bits else f"{metrics.loss:>8.4f}"
        write(f"  {name + mark:<46}{metrics.accuracy:>10.4f}{spreads[name]:<{width}}{last}")


def spread(metrics: Metrics) -> str:
    """The standard deviation of an accuracy over draws, with as many decimals as it takes to be seen."""
    value = metrics.accuracy_std
    if value is None:
        return ""
    return f" ± {value:.4f}" if value == 0 or value >= 0.00005 else f" ± {value:.0e}"
