"""What page and card say of an encoder that was pruned in one shot."""

from __future__ import annotations

from typing import Any

from .card_facts import common_facts
from .compared import compared
from .parts import encoder_criterion_name
from .report import Report
from .verdict import plus_minus, verdict


def encoder_facts(report: Report, config: dict[str, Any]) -> dict[str, Any]:
    """
    The values of the templates.

    Args:
        report ([`Report`]): With an `encoder`.
        config (`dict`): The checkpoint's `config.json`.

    Raises:
        `KeyError`, `TypeError`, `AttributeError`, `IndexError`, `ValueError`: if a `config` is not such a one.
    """
    encoder = report.encoder
    assert encoder is not None  # of this kind
    return common_facts(report, config) | {
        "verdict": verdict(report),
        "criterion": encoder_criterion_name(encoder.criterion),
        "neurons_before": encoder.neurons,
        "neurons_after": encoder.kept,
        "neurons_at_first": encoder.neurons_at_first,
        "layers": [{"name": name, **vars(group)} for name, group in encoder.groups.items()],
        "measured": vars(encoder.measured),
        "networks": [
            {
                **vars(each.metrics),
                "name": each.name,
                "used": each.chosen,
                "noise": each.noise,
                "bits": plus_minus(each.to_dense.bits, sign="-") if each.to_dense else None,
                "points": plus_minus(each.to_dense.accuracy, 100, 2) if each.to_dense else None,
            }
            for each in compared(report)
        ],
        "has_controls": bool(encoder.controls),
        "command": encoder.command,
    }
