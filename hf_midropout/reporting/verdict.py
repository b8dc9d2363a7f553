"""What came of a pruning, in two sentences: the same on the terminal, the page, the card and in the report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..utils.terminal import one_line
from .parts import encoder_criterion_name


if TYPE_CHECKING:
    from ..pruning.encoder_schema import Estimate
    from .report import Report


def verdict(report: Report) -> list[str]:
    """
    What was lost and what was gained by pruning an encoder, a sentence each.

    Args:
        report ([`Report`]): With an `encoder`, and with the accuracies that go with it.
    """
    encoder, test, dense = report.encoder, report.test, report.dense_test
    assert encoder is not None and test is not None and dense is not None  # as the reader checks
    share = f"{100 * encoder.kept / encoder.neurons:.3g}% of the feed-forward neurons"
    if encoder.neurons_at_first:
        share += f" ({100 * encoder.kept / encoder.neurons_at_first:.3g}% of those before an earlier pruning)"
    others = [
        f"{encoder_criterion_name(name)} {percent(control.accuracy)}"
        + (chance(report, control.accuracy) or (" (within noise)" * is_noise(control.to_chosen.accuracy, test.rows)))
        for name, control in encoder.controls.items()
    ]
    return [
        f"{one_line(test.split, 40).capitalize()} accuracy {percent(test.accuracy)}{chance(report, test.accuracy)} "
        f"with {share}, dense {percent(dense.accuracy)}{chance(report, dense.accuracy)} "
        f"({difference(encoder.to_dense.accuracy, test.rows)}); "
        + ", ".join([*others, f"largest class {percent(encoder.largest_class)}"])
        + ".",
        f"{sizes(report)}.",
    ]


def is_noise(estimate: Estimate, rows: int) -> bool:
    """
    Whether a paired difference is within two standard errors of none. The error is that under the hypothesis that
    there is none (McNemar's), larger than the one around the difference: one row decides nothing.
    """
    return abs(estimate.value) <= 2 * math.sqrt(estimate.stderr**2 + estimate.value**2 / max(rows, 1))


def is_chance(accuracy: float, largest_class: float, rows: int) -> bool:
    """Whether an accuracy is not above that of always answering the largest class by two standard errors or more."""
    return accuracy - 2 * math.sqrt(accuracy * (1 - accuracy) / max(rows, 1)) <= largest_class


def chance(report: Report, accuracy: float | None) -> str:
    """A remark on an accuracy, if it takes one."""
    assert report.encoder is not None and report.test is not None and accuracy is not None
    return " (chance)" if is_chance(accuracy, report.encoder.largest_class, report.test.rows) else ""


def difference(accuracy: Estimate, rows: int) -> str:
    """A paired difference of accuracies on so many rows, in points."""
    text = f"{plus_minus(accuracy, 100, 1)} points"
    return f"{text}: no difference shown on {rows:,} rows" if is_noise(accuracy, rows) else f"difference {text}"


def plus_minus(estimate: Estimate, scale: float = 1, digits: int = 4, sign: str = "+") -> str:
    """An estimate with its standard error."""
    value = round(scale * estimate.value, digits) + 0.0  # no minus before a zero
    return f"{value:{sign}.{digits}f} ± {scale * estimate.stderr:.{digits}f}"


def percent(share: float | None) -> str:
    """A share with one decimal."""
    return "–" if share is None else f"{100 * share:.1f}%"


def sizes(report: Report) -> str:
    """Parameters and bytes, before and after."""
    model = report.model
    counts = [
        f"{before} -> {after} {unit}"
        for before, after, unit in (
            in_unit(model.parameters_before, model.parameters_after, ("parameters", "thousand parameters",
                                                                      "million parameters", "billion parameters")),
            in_unit(model.bytes_before, model.bytes_after, ("bytes", "kB", "MB", "GB")),
        )
        if unit
    ]  # fmt: skip
    return ", ".join(counts) or "Sizes are not known"


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
