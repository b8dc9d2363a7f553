"""The methods that are compared, each with its grid of hyper-parameters: all grids are of one size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


LEARNING_RATES = (1e-3, 3e-3)
RATES = (0.1, 0.3, 0.5)
KEPT = (0.75, 0.5, 0.25)

PAPER, RELATIVE, REGULARIZER, CONTROL, VARIANT = "paper", "relative", "regularizer", "control", "variant"
KINDS = {
    PAPER: "MI-Dropout as in the paper",
    RELATIVE: "relatives that the paper compares with",
    REGULARIZER: "other regularizers",
    CONTROL: "controls at the same budget",
    VARIANT: "MI-Dropout, variants of this package",
}


@dataclass(frozen=True)
class Method:
    """
    One way to train a head.

    Args:
        name (`str`): By which it is asked for.
        label (`str`): As tables and figures call it.
        kind (`str`): A key of `KINDS`.
        head (`Mapping`): Fields of the head's configuration.
        pruning (`Mapping`, *optional*): Fields of [`MIDropoutConfig`] besides `keep`: what is done to neurons in the
            middle of the training. Without it the grid's values are rates, the `head_dropout` of the head.
        rewind (`bool`): Whether the learning rate's schedule runs again in the second half.
        values (`tuple[float, ...]`): The grid: rates, or fractions to keep.
        learning_rates (`tuple[float, ...]`): The grid's other side.
    """

    name: str
    label: str
    kind: str
    head: Mapping[str, Any] = field(default_factory=dict)
    pruning: Mapping[str, Any] | None = None
    rewind: bool = False
    values: tuple[float, ...] = ()
    learning_rates: tuple[float, ...] = LEARNING_RATES

    @property
    def draws(self) -> bool:
        """Whether a forward pass in training draws random numbers."""
        return bool(self.head) or (self.pruning or {}).get("action") == "dropout"

    def settings(self, factor: float = 1.0) -> Iterator[Setting]:
        """The grid, its learning rates times `factor`."""
        for learning_rate in self.learning_rates:
            for value in self.values or (None,):
                yield Setting(learning_rate * factor, value)

    def middle(self, factor: float = 1.0) -> Setting:
        """The point that is taken where nothing is chosen: the same learning rate for all methods."""
        return Setting(LEARNING_RATES[0] * factor, self.values[len(self.values) // 2] if self.values else None)


@dataclass(frozen=True)
class Setting:
    """
    A point of a method's grid.

    Args:
        learning_rate (`float`): The highest of the schedule.
        value (`float`, *optional*): A rate, or a fraction of neurons to keep.
    """

    learning_rate: float
    value: float | None = None

    def __str__(self) -> str:
        return f"{self.learning_rate:g}" if self.value is None else f"{self.learning_rate:g}, {self.value:g}"


def _regularizer(name: str, label: str, kind: str = REGULARIZER, values: tuple[float, ...] = RATES) -> Method:
    return Method(name, label, kind, head={"head_regularizer": name}, values=values)


def _pruned(name: str, label: str, kind: str, **pruning: Any) -> Method:
    return Method(name, label, kind, pruning={"baselines": False, **pruning}, values=KEPT)


# What has no rate of its own gets as many learning rates as others have points.
SIX_LEARNING_RATES = (3e-4, 6e-4, 1e-3, 2e-3, 3e-3, 6e-3)

METHODS = {
    method.name: method
    for method in (
        Method("none", "none", CONTROL, learning_rates=SIX_LEARNING_RATES),
        # What a method adds is seen beside this one: `none` has learning rates that others cannot choose.
        Method("none_two_rates", "none, two learning rates", CONTROL),
        Method("rewound", "none, learning rate rewound", CONTROL, rewind=True, learning_rates=SIX_LEARNING_RATES),
        _regularizer("dropout", "Dropout"),
        _regularizer("spatial_1d", "SpatialDropout1D"),
        _regularizer("alpha", "AlphaDropout"),
        _regularizer("gaussian", "GaussianDropout"),
        _regularizer("drop_connect", "DropConnect"),
        _regularizer("concrete", "Concrete Dropout", values=(0.05, 0.1, 0.3)),
        _regularizer("information", "Information Dropout", RELATIVE, values=(0.3, 0.7, 1.0)),
        _regularizer("info_drop", "InfoDrop", RELATIVE, values=(0.5, 1.0, 1.5)),
        _regularizer("multi_sample", "Multi-Sample Dropout", RELATIVE),
        _regularizer("drop_mi", "DropMI", RELATIVE),
        _pruned("mi_prune", "MI-Dropout (prune)", PAPER, reconstruction="none"),
        _pruned("mi_dropout", "MI-Dropout (Algorithm 1)", PAPER, action="dropout"),
        _pruned("mi_reinitialize", "MI-Dropout (re-initialise)", PAPER, action="reinitialize"),
        _pruned("mi_refit", "MI, reconstruction", VARIANT),
        _pruned("mi_graded", "MI, graded dropout", VARIANT, action="dropout", graded=True),
        _pruned("joint_refit", "joint information, reconstruction", VARIANT, criterion="joint_information"),
        _pruned("joint_reinitialize", "joint information, re-initialise", VARIANT, criterion="joint_information",
                action="reinitialize"),
        Method("mi_and_dropout", "MI, reconstruction, with Dropout 0.3", VARIANT, head={"head_dropout": 0.3},
               pruning={"baselines": False}, values=KEPT),
        _pruned("random_prune", "random (prune)", CONTROL, criterion="random", reconstruction="none"),
        _pruned("magnitude_prune", "magnitude (prune)", CONTROL, criterion="magnitude", reconstruction="none"),
        _pruned("std_prune", "std x norm (prune)", CONTROL, criterion="std_times_norm", reconstruction="none"),
        _pruned("taylor_prune", "Taylor (prune)", CONTROL, criterion="taylor", reconstruction="none"),
        _pruned("random_refit", "random, reconstruction", CONTROL, criterion="random"),
        _pruned("std_refit", "std x norm, reconstruction", CONTROL, criterion="std_times_norm"),
        _pruned("random_reinitialize", "random (re-initialise)", CONTROL, criterion="random", action="reinitialize"),
        _pruned("magnitude_reinitialize", "magnitude (re-initialise)", CONTROL, criterion="magnitude",
                action="reinitialize"),
    )
}  # fmt: skip
"""By name."""
