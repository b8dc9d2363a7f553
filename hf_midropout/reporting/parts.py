"""Parts that a report may have or lack: the sweep over thresholds, and what other selections gave."""

from __future__ import annotations

import re
from typing import Any


REPORT_NAME = "midropout_report.json"
MADE_HERE = "tiny ALBERT, made on the spot"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
MUTUAL_INFORMATION = "mutual_information"
NAMES = {
    "mutual_information": "mutual information",
    "magnitude": "weight magnitude",
    "std_times_norm": "std × norm",
    "random": "random (mean of several draws)",
    "taylor": "Taylor",
}


def read_baselines(report: dict[str, Any]) -> dict[str, Any] | None:
    """
    What each criterion gave at the same budget right after pruning: `"rows"` and
    `"one_shot"`, a list of `name`, `used` and metrics. `None` if the report has no baselines.
    """
    pruning = report.get("pruning", {})
    found = last_of_steps(pruning, "baselines")
    if not isinstance(found, dict) or not isinstance(found.get("one_shot"), dict):
        return None
    used = pruning.get("config", {}).get("criterion", MUTUAL_INFORMATION)
    one_shot = [
        {"name": NAMES.get(name, name.replace("_", " ")), "used": name == used, **numbers(metrics)}
        for name, metrics in found["one_shot"].items()
    ]
    return {"rows": found.get("rows"), "one_shot": one_shot} if len(one_shot) > 1 else None


def read_sweep(report: dict[str, Any]) -> dict[str, Any] | None:
    """
    The search of the threshold: `"metric"`, `"dense"` (its value before), `"chosen"`, and `"levels"` from the least to
    the most pruned, each with `kept` (neurons in all) and `value`; `"rows"` and `"margin"` of the test. `None` if the
    report has none.
    """
    found = last_of_steps(report.get("pruning", {}), "sweep")
    if not isinstance(found, dict) or not found.get("levels"):
        return None
    metric = found.get("metric", "accuracy")
    levels = [{"kept": sum(level["kept"].values()), "value": level[metric]} for level in found["levels"]]
    return {
        "metric": metric,
        "dense": found["dense"][metric],
        "chosen": found.get("chosen"),
        "margin": found["margin"],
        "rows": found["rows"],
        "levels": levels,
    }


def last_of_steps(pruning: dict[str, Any], part: str) -> Any:
    """`part` of the last round that has it; `None` if none has."""
    return next((each[part] for each in reversed(pruning.get("pruning_steps", [])) if each.get(part)), None)


def criterion_name(pruning: dict[str, Any]) -> str:
    """What neurons were chosen by, in words."""
    criterion = pruning.get("config", {}).get("criterion", MUTUAL_INFORMATION)
    return NAMES.get(criterion, criterion.replace("_", " "))


def numbers(metrics: dict[str, Any]) -> dict[str, float | None]:
    """The metrics that tables show; `None` for what is absent."""
    known = ("accuracy", "accuracy_std", "macro_f1", "loss")
    return {key: float(metrics[key]) if isinstance(metrics.get(key), (int, float)) else None for key in known}


def training_log(log_history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """What the training curves are drawn from: the losses and accuracies of a Trainer's `log_history`, by step."""
    keys = ("step", "loss", "eval_loss", "eval_accuracy")
    entries = [{key: entry[key] for key in keys if key in entry} for entry in log_history]
    return [entry for entry in entries if len(entry) > 1]
