"""The first thing on the page: the answer in three or four numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ..pruning.record.latency_schema import Latency
from .report import Report
from .verdict import chance, difference, difference_from_dense, in_unit, percent, place


@dataclass(frozen=True)
class Tile:
    """`value` (`str`) in large letters, and below what it is (`text`, `str`)."""

    value: str
    text: str


def tiles(report: Report) -> list[Tile]:
    """Accuracy, the dense network beside it, speed, and size, as far as they are known."""
    found: list[Tile] = []
    test, dense, model = report.test, report.dense_test, report.model
    if test is not None and test.accuracy is not None:
        rows = f"accuracy on {test.rows:,} {test.split} rows{chance(report, test.accuracy)}"
        found.append(Tile(percent(test.accuracy), rows))
        if dense is not None and dense.accuracy is not None:
            less = difference(difference_from_dense(report)[0], test.rows)
            found.append(Tile(percent(dense.accuracy), f"dense; {less}"))
        elif report.encoder is None:
            found.append(Tile("not run", "dense training of the same seed (--compare dense)"))
    found += [speed(latency)] if (latency := latency_of(report)) is not None else []
    before, after, unit = in_unit(model.bytes_before, model.bytes_after, ("bytes", "kB", "MB", "GB"))
    if not unit:
        units = ("", " thousand", " million", " billion")
        before, after, unit = in_unit(model.parameters_before, model.parameters_after, units)
        if before:
            found.append(Tile(f"{after}{unit}", f"parameters, of {before}{unit}"))
    else:
        saved = 1 - (model.bytes_after or 0) / (model.bytes_before or 1)
        found.append(Tile(f"{after} {unit}", f"of weights, {100 * saved:.3g}% less than {before}"))
    return found


def latency_of(report: Report) -> Latency | None:
    """The times that were measured, if any were."""
    part = report.encoder or report.beside
    return part.latency if part is not None else None


def speed(latency: Latency) -> Tile:
    """How many times as fast the network is."""
    first = latency.timings[0]
    where = f"batch {first.batch_size:,}, {latency.tokens:,} tokens, {place(latency)}"
    return Tile(f"{first.speedup:.2f}×", f"as fast as dense ({where})")
