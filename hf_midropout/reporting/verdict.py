"""What came of a run, in two sentences: the same on the terminal, the page, the card and in the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..utils.terminal import one_line
from .parts import encoder_criterion_name, in_order, read_baselines


if TYPE_CHECKING:
    from ..pruning.record.encoder_schema import Estimate
    from ..pruning.record.latency_schema import Latency
    from .report import Report


OF_PLACES = {"head": "head", "encoder": "encoder", "all": "encoder and the head"}


def verdict(report: Report) -> list[str]:
    """
    What was lost and what was gained by pruning, a sentence each: accuracy beside what it has to be compared with, and
    size and speed. A comparison that was not made is named as missing.

    Args:
        report ([`Report`]): With a `test`, and an `encoder` or a `pruning`.
    """
    return of_encoder(report) if report.encoder is not None else of_training(report)


def of_encoder(report: Report) -> list[str]:
    """The sentences on an encoder that was pruned without training."""
    encoder, test, dense = report.encoder, report.test, report.dense_test
    assert encoder is not None and test is not None and dense is not None  # as the reader checks
    share = f"{100 * encoder.kept / encoder.neurons:.3g}% of the feed-forward neurons"
    if encoder.neurons_at_first:
        share += f" ({100 * encoder.kept / encoder.neurons_at_first:.3g}% of those before an earlier pruning)"
    others = [
        f"{encoder_criterion_name(name)} {percent(control.accuracy)}"
        + (chance(report, control.accuracy) or (" (within noise)" * is_noise(control.to_chosen.accuracy, test.rows)))
        for name in in_order(encoder.controls, encoder.criterion)
        for control in (encoder.controls[name],)
    ]
    return [
        f"{one_line(test.split, 40).capitalize()} accuracy {percent(test.accuracy)}{chance(report, test.accuracy)} "
        f"with {share}, dense {percent(dense.accuracy)}{chance(report, dense.accuracy)} "
        f"({difference(encoder.to_dense.accuracy, test.rows)}); "
        + ", ".join([*others, f"largest class {percent(encoder.largest_class)}"])
        + ".",
        "; ".join([sizes(report), *([faster(encoder.latency)] if encoder.latency is not None else [])]) + ".",
    ]


def of_training(report: Report) -> list[str]:
    """The sentences on a training that scored neurons, and perhaps dropped some."""
    test, pruning, beside = report.test, report.pruning, report.beside
    assert test is not None and pruning is not None
    kept, neurons = (sum(getattr(layer, name) for layer in pruning.layers) for name in ("kept", "neurons"))
    place = OF_PLACES.get(str(pruning.config.get("targets", "head")), OF_PLACES["head"])
    removed = kept < neurons and pruning.config.get("action", "prune") == "prune"
    with_what = f"with {100 * kept / neurons:.3g}% of the neurons of the {place}" if removed else "with all neurons"
    first = (
        f"{one_line(test.split, 40).capitalize()} accuracy {percent(test.accuracy)}{chance(report, test.accuracy)} "
        f"{with_what}"
    )
    if report.dense_test is not None:
        to_dense, paired = difference_from_dense(report)
        first += (
            f", dense {percent(report.dense_test.accuracy)}{chance(report, report.dense_test.accuracy)} "
            f"({difference(to_dense, test.rows)}{'' if paired else ', not paired'})"
        )
    elif removed:
        first += "; no dense training of the same seed to compare with (--compare dense gives one)"
    else:
        first += "; none was dropped"
    if beside is not None:
        first += f"; largest class {percent(beside.largest_class)}"
    second = sizes(report)
    if beside is not None and beside.latency is not None:
        second += f"; {faster(beside.latency)}"
    elif removed:
        second += "; speed was not measured"
    controls = after_pruning(report) if removed else ""
    return [f"{first}.", f"{second}. {controls}".strip() if controls else f"{second}."]


def after_pruning(report: Report) -> str:
    """What other criteria gave at the same budget, before retraining; "" if that is not known."""
    found = read_baselines(report)
    if found is None:
        return "No control was measured: neurons at random, or by magnitude, might have done as well."
    used = next((each for each in found["one_shot"] if each["used"]), None)
    if used is None or used["accuracy"] is None:
        return ""
    rows = found["rows"] or 0
    told = []
    for each in found["one_shot"]:
        if not each["used"] and each["accuracy"] is not None:
            noise = rows > 0 and is_noise(unpaired(used["accuracy"], each["accuracy"], rows, rows), rows)
            told.append(f"{each['name'].split(' (')[0]} {percent(each['accuracy'])}{' (within noise)' * noise}")
    return (
        f"Right after pruning, before retraining, on {rows:,} validation rows: {used['name']} "
        f"{percent(used['accuracy'])}, {', '.join(told)}."
    )


def difference_from_dense(report: Report) -> tuple[Estimate, bool]:
    """Accuracy less that of the dense network, and whether the two were compared row against row."""
    test, dense = report.test, report.dense_test
    assert test is not None and dense is not None
    if report.encoder is not None:
        return report.encoder.to_dense.accuracy, True
    if report.beside is not None and report.beside.to_dense is not None:
        return report.beside.to_dense, True
    return unpaired(test.accuracy or 0.0, dense.accuracy or 0.0, test.rows, dense.rows), False


def unpaired(one: float, other: float, rows: int, rows_of_other: int) -> Estimate:
    """A difference of accuracies with the error it has if nothing is known of single rows: larger than if paired."""
    from ..pruning.record.encoder_schema import Estimate

    variance = one * (1 - one) / max(rows, 1) + other * (1 - other) / max(rows_of_other, 1)
    return Estimate(one - other, math.sqrt(max(variance, 0.0)))


def is_noise(estimate: Estimate, rows: int) -> bool:
    """
    Whether a paired difference is within two standard errors of none. The error is that under the hypothesis that
    there is none (McNemar's), larger than the one around the difference: one row decides nothing.
    """
    return abs(estimate.value) <= 2 * math.sqrt(estimate.stderr**2 + estimate.value**2 / max(rows, 1))


def is_chance(accuracy: float, largest_class: float, rows: int) -> bool:
    """Whether an accuracy is not above that of always answering the largest class by two standard errors or more."""
    return accuracy - 2 * standard_error(accuracy, rows) <= largest_class


def standard_error(accuracy: float, rows: int) -> float:
    """Of an accuracy on so many rows."""
    return math.sqrt(accuracy * (1 - accuracy) / max(rows, 1))


def chance(report: Report, accuracy: float | None) -> str:
    """A remark on an accuracy, if it takes one."""
    part = report.encoder or report.beside
    if part is None or report.test is None or accuracy is None:
        return ""
    return " (chance)" if is_chance(accuracy, part.largest_class, report.test.rows) else ""


def difference(accuracy: Estimate, rows: int) -> str:
    """A paired difference of accuracies on so many rows, in points."""
    text = f"{plus_minus(accuracy, 100, 1)} points"
    return f"{text}: no difference shown on {rows:,} rows" if is_noise(accuracy, rows) else f"difference {text}"


def plus_minus(estimate: Estimate, scale: float = 1, digits: int = 4, sign: str = "+") -> str:
    """An estimate with its standard error."""
    value = round(scale * estimate.value, digits) + 0.0  # no minus before a zero
    return f"{value:{sign}.{digits}f} ± {scale * estimate.stderr:.{digits}f}"


def p_value(value: float) -> str:
    """A p-value that is never shown as 0."""
    return f"p = {value:.3f}" if value >= 0.0005 else "p < 0.001"


def percent(share: float | None) -> str:
    """A share with one decimal."""
    return "–" if share is None else f"{100 * share:.1f}%"


def sizes(report: Report) -> str:
    """Parameters and bytes, before and after, and the percentages by which they are less, once if they are alike."""
    model, told = report.model, []
    for before, after, units in (
        (model.parameters_before, model.parameters_after, ("parameters", "thousand parameters", "million parameters",
                                                           "billion parameters")),
        (model.bytes_before, model.bytes_after, ("bytes", "kB", "MB", "GB")),
    ):  # fmt: skip
        was, now, unit = in_unit(before, after, units)
        if unit:
            told.append((f"{was} -> {now} {unit}" if was != now else f"{now} {unit} as before", less(before, after)))
    shares = [share for _, share in told if share is not None]
    if told and len(shares) == len(told) and max(shares) - min(shares) < 0.01:
        return ", ".join(size for size, _ in told) + in_brackets(shares[0])
    return ", ".join(size + in_brackets(share) for size, share in told) or "Sizes are not known"


def less(before: int | None, after: int | None) -> float | None:
    """The share by which a size is less; below 0 if it is more."""
    return 1 - after / before if before and after is not None else None


def in_brackets(share: float | None) -> str:
    """Such a share in words; nothing where it rounds to 0."""
    if share is None or abs(share) < 0.0005:
        return ""
    return f" ({100 * abs(share):.3g}% {'less' if share > 0 else 'more'})"


def faster(latency: Latency) -> str:
    """How many times as fast the network has become, with what that was measured on."""
    told: list[str] = []
    for timing in latency.timings:
        measured = [f"batch {timing.batch_size:,}"] + ([] if told else [f"{latency.tokens:,} tokens", place(latency)])
        speed = f"{timing.speedup:.1f} times faster"
        if timing.speedup < 1.05:
            speed = f"not faster, {timing.speedup:.2f} times as fast"
        told.append(f"{speed} ({', '.join(measured)})")
    return ", ".join(told)


def place(latency: Latency) -> str:
    """Where it was measured."""
    if latency.device != "cpu":
        return one_line(latency.device, 60)
    return f"{latency.threads:,} thread{'s' * (latency.threads != 1)}"


def in_unit(before: int | None, after: int | None, units: tuple[str, ...]) -> tuple[str, str, str]:
    """Two numbers with three digits, in the largest of `units`, a thousand each, that the first fills; "" for none."""
    if before is None or after is None:
        return "", "", ""
    power = min(max(0, (len(str(before)) - 1) // 3), len(units) - 1)
    return f"{three_digits(before / 1000**power)}", f"{three_digits(after / 1000**power)}", units[power]


def three_digits(value: float) -> str:
    """`value` with three significant digits, and none that is not shown where it is larger."""
    digits = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{min(digits, 3)}f}"
