"""Words and parts of a report that page, card and figures share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ..model_types import HEAD_ARCHITECTURES, stock_type
from ..utils.terminal import one_line


if TYPE_CHECKING:
    from ..pruning.record.schema import Pruning
    from .report import Report


MADE_HERE = "tiny ALBERT, made on the spot"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", re.ASCII)
MUTUAL_INFORMATION = "mutual_information"
FEW_LAYERS = 6
"""Up to so many, each has its own histogram."""
NAMES = {
    "mutual_information": "mutual information",
    "magnitude": "weight magnitude",
    "std_times_norm": "std × norm",
    "random": "random (mean of several draws)",
    "taylor": "Taylor",
}
ENCODER_NAMES = NAMES | {"random": "random", "brain_surgeon": "structured OBS", "mask_fisher": "mask Fisher"}


ORDER = ("std_times_norm", "magnitude", "taylor", "random")


def in_order(names: Iterable[str], used: str) -> list[str]:
    """Criteria as tables and figures have them: the one that was used, others, and controls down to chance."""
    return sorted(names, key=lambda name: (name != used, ORDER.index(name) if name in ORDER else -1))


def read_baselines(report: Report) -> dict[str, Any] | None:
    """
    What each criterion gave at the same budget right after pruning: `"rows"`, `"one_shot"`, a list of `name`, `used`
    and metrics, and whether all were compared `"in_bits"`. `None` if the report has no baselines.
    """
    found = report.pruning.last("baselines") if report.pruning else None
    if report.pruning is None or found is None:
        return None
    used = report.pruning.config.get("criterion", MUTUAL_INFORMATION)
    one_shot = [
        {
            "name": (NAMES if metrics.accuracy_std is not None else ENCODER_NAMES).get(name, name.replace("_", " ")),
            "used": name == used,
            **vars(metrics),
        }
        for name in in_order(found.one_shot, used)
        for metrics in (found.one_shot[name],)
    ]
    in_bits = all(each["bits_lost"] is not None for each in one_shot)
    return {"rows": found.rows, "one_shot": one_shot, "in_bits": in_bits} if len(one_shot) > 1 else None


def criterion_name(pruning: Pruning | None) -> str:
    """What neurons were chosen by, in words."""
    config = pruning.config if pruning else {}
    criterion = config.get("criterion", MUTUAL_INFORMATION)
    name, of_head = (
        NAMES.get(each, each.replace("_", " ")) for each in (criterion, config.get("head_criterion", criterion))
    )
    return name if name == of_head else f"{name} (encoder) and {of_head} (head)"


def encoder_criterion_name(criterion: str) -> str:
    """What neurons of an encoder were chosen by, in words."""
    return ENCODER_NAMES.get(criterion, one_line(criterion, 40).replace("_", " "))


def encoder_of(config: dict[str, Any]) -> tuple[str, Any, Any]:
    """The name of a checkpoint's encoder, its number of layers and their width, as far as `config.json` tells."""
    row = HEAD_ARCHITECTURES.get(stock_type(config.get("model_type")) or "")
    if row is None:
        return "text", config.get("num_hidden_layers"), config.get("hidden_size")
    return row.name, config.get(row.num_layers), config.get(row.hidden_size)


def training_log(log_history: list[dict[str, Any]]) -> list[dict[str, float]]:
    """What the training curves are drawn from: the losses and accuracies of a Trainer's `log_history`, by step."""
    keys = ("step", "loss", "eval_loss", "eval_accuracy")
    entries = [{key: entry[key] for key in keys if key in entry} for entry in log_history]
    return [entry for entry in entries if len(entry) > 1]
