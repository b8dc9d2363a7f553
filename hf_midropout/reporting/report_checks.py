"""Reads a report that may come from a stranger: what is drawn and listed of it has limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..utils.json_files import read_json
from ..utils.safe_paths import check_link
from ..utils.terminal import one_line
from .parts import REPORT_NAME


MAX_NEURONS = 100_000
MAX_LAYERS = 64
MAX_PRUNING_STEPS = 100
MAX_ENTRIES = 100_000
MAX_BITS = 64.0
"""More classes than 2**64 no one has."""


def read_report(folder: Path) -> dict[str, Any] | None:
    """
    The report of the checkpoint in `folder`, `None` if there is none.

    Raises:
        `ValueError`: if it is no report of this package, or has more in it than a page can show.
    """
    path = folder / REPORT_NAME
    if path.is_symlink():
        check_link(folder, path)
    if not path.is_file():
        return None
    report = read_json(path)
    check_report(report)
    return report


def check_report(report: dict[str, Any]) -> None:
    """`ValueError` for parts of a report that are of the wrong kind, or too many."""
    for name in ("model", "data", "test", "pruning", "training_arguments", "seconds", "environment"):
        if not isinstance(report.get(name), (dict, type(None))):
            raise wrong(f"{name} must be an object")
    check_count(report.get("training_log"), "training_log", MAX_ENTRIES)
    check_count((report.get("test") or {}).get("calibration"), "calibration", 1_000)
    pruning = report.get("pruning") or {}
    check_count(pruning.get("layers"), "layers", MAX_LAYERS)
    steps = pruning.get("pruning_steps") or []
    check_count(steps, "pruning_steps", MAX_PRUNING_STEPS)
    for each in [*steps, {"scores": pruning.get("after")}]:
        if not isinstance(each, dict):
            raise wrong("pruning_steps must be objects")
        check_scores(each.get("scores"))
        sweep = each.get("sweep")
        if isinstance(sweep, dict):
            check_count(sweep.get("levels"), "levels of the sweep", MAX_ENTRIES)


def check_scores(scores: Any) -> None:
    """`ValueError` for scores of too many neurons, or of bits that no label has."""
    if scores is None:
        return
    layers = scores.get("layers") if isinstance(scores, dict) else None
    if not isinstance(layers, dict) or not layers:
        raise wrong("scores must have layers")
    check_count(list(layers), "layers", MAX_LAYERS)
    if not number_within(scores.get("label_entropy_bits")):
        raise wrong(f"label_entropy_bits={one_line(scores.get('label_entropy_bits'), 40)}: must be 0 to {MAX_BITS:g}")
    neurons = 0
    for layer in layers.values():
        values: list[Any] = [None]
        if isinstance(layer, dict):
            values = [layer.get(key) for key in ("bits", "stderr", "p_value")]
        if not all(isinstance(each, list) and len(each) == len(values[0]) > 0 for each in values):
            raise wrong("each layer must have bits, stderr and p_value of as many neurons")
        neurons += len(values[0])
        if neurons > MAX_NEURONS:
            raise wrong(f"it has more than {MAX_NEURONS:,} neurons, which no page can show")
        if not all(number_within(bits) for each in values for bits in each):
            raise wrong(f"bits and their errors must be numbers of 0 to {MAX_BITS:g}")


def number_within(value: Any) -> bool:
    """Whether `value` is a number that bits can be; a rounding error below 0 is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -1e-6 <= value <= MAX_BITS


def check_count(values: Any, name: str, limit: int) -> None:
    """`ValueError` unless `values` is absent or a list of at most `limit`."""
    if values is None:
        return
    if not isinstance(values, list):
        raise wrong(f"{name} must be a list")
    if len(values) > limit:
        raise wrong(f"it has {len(values):,} {name}: {limit:,} are allowed")


def wrong(why: str) -> ValueError:
    """The refusal."""
    return ValueError(f"{REPORT_NAME} is not a report of this package, or not whole: {why}.")
