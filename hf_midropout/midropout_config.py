"""What [`MIDropoutCallback`] is to do, and when."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from typing import Any


ACTIONS = ("prune", "none")


@dataclass
class MIDropoutConfig:
    """
    Args:
        start (`float`, `int` or `str`, *optional*, defaults to 0.5):
            Length of the initial phase, after which neurons are scored and dropped: a float in (0, 1) is a fraction of
            the training steps, an int a number of optimizer steps, a string such as `"2 epochs"` a number of epochs.
        threshold (`float`, *optional*):
            Neurons with less mutual information than this are dropped, in bits, in (0, log2(number of classes)).
        keep (`float`, *optional*, defaults to 0.5 if there is no threshold):
            Instead of a threshold: the fraction of neurons to keep, in (0, 1), those with the most mutual information.
        scope (`str`, *optional*, defaults to `"layer"`):
            `"layer"` keeps that fraction of each layer, `"global"` of all layers together. A threshold is always
            global, as in the paper.
        action (`str`, *optional*, defaults to `"prune"`):
            `"prune"` sets the outputs of dropped neurons to 0 for good; `"none"` scores and logs, and drops nothing.
        max_samples (`int`, *optional*, defaults to 10000):
            Training rows to score, drawn at random; `None` for all.
        seed (`int`, *optional*, defaults to 0):
            Seed of that draw.

    Raises:
        `ValueError`: for values out of range, or both a threshold and a fraction.
    """

    start: float | int | str = 0.5
    threshold: float | None = None
    keep: float | None = None
    scope: str = "layer"
    action: str = "prune"
    max_samples: int | None = 10_000
    seed: int = 0

    def __post_init__(self):
        if self.threshold is not None and self.keep is not None:
            raise ValueError(f"threshold={self.threshold} and keep={self.keep}: give one of the two.")
        if self.threshold is None and self.keep is None:
            self.keep = 0.5
        if self.threshold is not None and not self.threshold > 0:
            raise ValueError(
                f"threshold={self.threshold} bits would drop nothing: must be above 0 and below log2(classes)."
            )
        if self.keep is not None and not 0 < self.keep < 1:
            raise ValueError(
                f"keep={self.keep} would drop {'nothing' if self.keep >= 1 else 'everything'}: must be in (0, 1)."
            )
        if self.scope not in ("layer", "global"):
            raise ValueError(f"scope={self.scope!r}: must be 'layer' or 'global'.")
        if self.action not in ACTIONS:
            raise ValueError(f"action={self.action!r}: must be one of {', '.join(map(repr, ACTIONS))}.")
        if self.max_samples is not None and self.max_samples < 2:
            raise ValueError(f"max_samples={self.max_samples}: must be 2 or more, or None for all.")
        self.start_step(max_steps=2, steps_per_epoch=1.0, check=False)

    def start_step(self, max_steps: int, steps_per_epoch: float, check: bool = True) -> int:
        """
        The optimizer step after which neurons are scored.

        Args:
            max_steps (`int`): Optimizer steps of the whole training.
            steps_per_epoch (`float`): Optimizer steps of one epoch.
            check (`bool`, *optional*, defaults to `True`): Whether the step must lie within the training.

        Raises:
            `ValueError`: if `start` is malformed, or leaves no step before or after it.
        """
        if isinstance(self.start, str):
            match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*epochs?\s*", self.start)
            if not match or float(match[1]) == 0:
                raise ValueError(f"start={self.start!r}: a string must read like '2 epochs' or '0.5 epochs'.")
            step = round(float(match[1]) * steps_per_epoch)
        elif isinstance(self.start, bool) or not isinstance(self.start, (int, float)):
            raise ValueError(f"start={self.start!r}: must be a fraction, a number of steps, or like '2 epochs'.")
        elif isinstance(self.start, int) and self.start >= 1:
            step = self.start
        elif isinstance(self.start, float) and 0 < self.start < 1:
            step = max(1, math.floor(self.start * max_steps))
        else:
            raise ValueError(
                f"start={self.start!r}: must be a fraction of the training in (0, 1), an int of at least 1 step, "
                "or like '2 epochs'."
            )
        if check and not 1 <= step < max_steps:
            raise ValueError(
                f"start={self.start!r} is step {step}, but training has {max_steps} steps: "
                f"must leave at least one step before and after, 1 to {max_steps - 1}."
            )
        return step

    def check_classes(self, num_classes: int) -> None:
        """
        Raises:
            `ValueError`: if `threshold` is one that no neuron can reach: I(a; y) <= H(y) <= log2(num_classes).
        """
        ceiling = math.log2(num_classes) if num_classes > 1 else 0.0
        if self.threshold is not None and self.threshold >= ceiling:
            raise ValueError(
                f"threshold={self.threshold} bits would drop everything: no neuron can carry more than "
                f"log2({num_classes}) = {ceiling:.3f} bits about {num_classes} classes; must be below that."
            )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content."""
        return asdict(self)
