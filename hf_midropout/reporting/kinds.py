"""The kinds of reports: of each, where the values and the templates of its page and its card are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .card_facts import head_facts
from .encoder_facts import encoder_facts
from .report import Report


@dataclass(frozen=True)
class Kind:
    """
    Args:
        facts (`Callable`): From a [`Report`] and a checkpoint's `config.json` to the values of the templates.
        page, card (`str`): Templates.
    """

    facts: Callable[[Report, dict[str, Any]], dict[str, Any]]
    page: str
    card: str


HEAD = Kind(head_facts, "head_page.html", "head_card.md")
ENCODER = Kind(encoder_facts, "encoder_page.html", "encoder_card.md")


def kind_of(report: Report) -> Kind:
    """What its page and card are made with."""
    return HEAD if report.encoder is None else ENCODER
