"""The end of `hf-midropout train`, for a person."""

from __future__ import annotations

from pathlib import Path

from ..pruning.record_schema import Baselines, Metrics, Sweep
from ..reporting.report import Report
from ..utils.report_names import REPORT_NAME


def print_summary(report: Report, folder: Path, figures: list[str]) -> None:
    """The end of the run, for a person."""
    pruning, model, test = report.pruning, report.model, report.test
    assert pruning is not None and test is not None  # of a run that is finished
    kept = sum(layer.kept for layer in pruning.layers)
    neurons = sum(layer.neurons for layer in pruning.layers)

    print(f"\n{'':<34}{'neurons':>8}{'accuracy':>10}{'macro F1':>10}{'loss':>8}")
    for moment, count in (("before_pruning", neurons), ("after_pruning", kept), ("after_retraining", kept)):
        metrics = getattr(pruning.validation, moment)
        if metrics:
            print_metrics(f"validation, {moment.replace('_', ' ')}", count, metrics)
    print_metrics(f"{test.split}, compact model", kept, test)

    ceiling = pruning.label_entropy_bits
    print(f"\n{'':<22}{'neurons':>16}{'mean bits per neuron (the label has ' + format(ceiling, '.2f') + ')':>44}")
    print(f"{'layer':<22}{'before':>8}{'kept':>8}{'before':>10}{'kept, before':>14}{'kept, after':>13}")
    for layer in pruning.layers:
        print(
            f"{layer.name:<22}{layer.neurons:>8}{layer.kept:>8}{layer.mean_bits_before:>10.3f}"
            f"{layer.mean_bits_before_of_kept:>14.3f}{layer.mean_bits_after_of_kept:>13.3f}"
        )
    if pruning.refused:
        print(f"\nNothing was dropped: {pruning.refused}")
    last = pruning.pruning_steps[-1]
    if last.sweep:
        print_search(last.sweep)
    if last.baselines:
        print_baselines(last.baselines, pruning.config["criterion"])
    scoring = sum(each.seconds["scoring"] for each in pruning.pruning_steps)
    print(
        f"\nHead: {model.head_parameters_before:,} -> {model.head_parameters_after:,} parameters; "
        f"model: {model.parameters_before:,} -> {model.parameters_after:,}."
        f"\nThe compact model's logits equal the masked model's within {model.largest_logit_difference:.1e}."
        f"\nSaved in {folder}: the checkpoint, {', '.join([REPORT_NAME, *figures])}."
        f"\n{report.seconds['total']:.0f} s, of which scoring {scoring:.1f} s; "
        f"peak memory {report.environment['peak_memory_mib']:,} MiB."
    )


def print_metrics(title: str, neurons: int, metrics: Metrics) -> None:
    """One row of the summary."""
    print(f"{title:<34}{neurons:>8}{metrics.accuracy:>10.4f}{metrics.macro_f1:>10.4f}{metrics.loss:>8.4f}")


def print_search(sweep: Sweep) -> None:
    """What the search of the threshold tried and chose."""
    print(f"\nSearch: {len(sweep.levels)} masks on {sweep.rows:,} validation rows; ", end="")
    if sweep.chosen is None:
        print("none was chosen.")
        return
    level = sweep.levels[sweep.chosen]
    print(
        f"the smallest network shown to be worse by less than {sweep.margin} in {sweep.metric} is worse by "
        f"{level.difference:.4f} ± {level.stderr:.4f} (p {format_p(level.p_value)})."
    )


def print_baselines(baselines: Baselines, criterion: str) -> None:
    """One row for each criterion at the same budget, the best first: by the bits lost where they were measured."""
    in_bits = all(metrics.bits_lost is not None for metrics in baselines.one_shot.values())
    ranked = sorted(
        baselines.one_shot.items(),
        key=lambda entry: (entry[1].bits_lost or 0.0) if in_bits else -(entry[1].accuracy or 0.0),
    )
    spreads = {name: spread(metrics) for name, metrics in ranked}
    width = max(map(len, spreads.values()))
    heading = "right after pruning, the same number of neurons chosen by"
    print(f"\n{heading:<58}{'accuracy':>10}{'':<{width}}{'bits lost' if in_bits else 'loss':>{10 if in_bits else 8}}")
    for name, metrics in ranked:
        mark = " (used)" if name == criterion else ""
        last = f"{metrics.bits_lost:>10.4f}" if in_bits else f"{metrics.loss:>8.4f}"
        print(f"  {name + mark:<56}{metrics.accuracy:>10.4f}{spreads[name]:<{width}}{last}")


def spread(metrics: Metrics) -> str:
    """The standard deviation of an accuracy over draws, with as many decimals as it takes to be seen."""
    value = metrics.accuracy_std
    if value is None:
        return ""
    return f" ± {value:.4f}" if value == 0 or value >= 0.00005 else f" ± {value:.0e}"


def format_p(value: float) -> str:
    """A p-value that is never shown as 0."""
    return f"= {value:.3f}" if value >= 0.0005 else "< 0.001"
