"""What a training left of one seed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """
    Of one seed.

    Args:
        seed (`int`): Of initial weights, training rows, their order and noise.
        curve (`list[dict]`): Metrics on validation rows, with the step, in its order.
        test (`dict[str, float]`, *optional*): Metrics on test rows at the end.
        kept (`list[int]`, *optional*): Neurons of each layer that were kept.
        bits (`dict[str, list[float]]`): Mean bits of each layer: `before` and `after` the middle of the training,
            and at its `end`; `_unmasked` over the neurons alone that are not masked, `before_kept` over those that
            the middle keeps.
    """

    seed: int
    curve: list[dict[str, float]] = field(default_factory=list)
    test: dict[str, float] | None = None
    kept: list[int] | None = None
    bits: dict[str, list[float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content."""
        return dataclasses.asdict(self)
