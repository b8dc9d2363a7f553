"""What [`MIDropoutCallback`] is to do, and when."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import MISSING, asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from ..choices import CRITERION_NAMES, Action, Metric, ReconstructionKind, Scope
from ..utils.files import write_json


SEARCH = "search"
DEFAULT_KEEP = 0.5


def _option(default: Any, help: str) -> Any:
    return field(default=default, metadata={"help": help})


@dataclass(frozen=True)
class MIDropoutConfig:
    """
    What to drop, and when. Each field has its help in its `metadata`, as [`~transformers.HfArgumentParser`] shows it:
    `hf-midropout train` has an option for each, and its YAML files a key. Checked when it is made, and fixed from then
    on; change a copy (`dataclasses.replace`). Fields that the others would leave without effect are refused.

    Raises:
        `ValueError`: for values of the wrong type, out of range or at odds with each other.
    """

    _argument_group_name = "pruning"

    start: float | str = _option(
        0.5,
        "Length of the initial phase, after which neurons are scored and dropped: a fraction of the training in "
        "(0, 1), a number of optimizer steps such as 300, or a number of epochs such as '2 epochs'.",
    )
    threshold: float | str | None = _option(
        None,
        "Drop neurons with less mutual information than this, in bits, in (0, log2(number of classes)). 'search': the "
        "highest threshold at which the pruned network, before retraining, is non-inferior to the dense one on "
        "validation.",
    )
    keep: float | None = _option(
        None, "Instead of a threshold: the fraction of neurons to keep, in (0, 1), the most important ones. None: 0.5."
    )
    scope: Scope = _option(
        "layer",
        "'layer' keeps (or searches for) one fraction of each layer, 'global' one threshold for all layers together, "
        "as in the paper. A threshold in bits is always global.",
    )
    criterion: str = _option(
        "mutual_information",
        "What makes a neuron important: mutual_information; joint_information, which passes over neurons that repeat "
        "others; or a baseline: magnitude, std_times_norm, taylor, random.",
    )
    action: Action = _option(
        "prune",
        "What happens to a neuron that is not kept. 'prune' sets its output to 0 for good; 'dropout' sets it to 0 "
        "with probability dropout_rate in training only (Algorithm 1 of the paper); 'reinitialize' draws its incoming "
        "weights anew from N(0, 0.01^2); 'none' scores and logs only.",
    )
    dropout_rate: float = _option(0.5, "The probability of the action 'dropout', in (0, 1).")
    graded: bool = _option(
        False,
        "Let that probability fall linearly with a neuron's importance, from dropout_rate at 0 to 0 at the threshold.",
    )
    pruning_steps: int = _option(
        1,
        "Times to score, drop and train on, evenly spaced from start to the end; every time the same fraction is "
        "dropped, so that the last time reaches keep.",
    )
    reconstruction: ReconstructionKind = _option(
        "least_squares",
        "Refit of the weights that read the kept neurons, by what these tell of the dropped ones, without labels; "
        "'mean' refits biases only, 'none' is the paper. With the action 'prune'.",
    )
    rewind_learning_rate: bool = _option(
        False, "Run through the learning rate's schedule again in every phase of retraining (Renda et al., 2020)."
    )
    metric: Metric = _option("accuracy", "What the search compares; the loss is in nats.")
    margin: float = _option(
        0.01, "How much worse the search lets the pruned network be before retraining, in the units of the metric."
    )
    alpha: float = _option(0.05, "Error rate of the search's test, one-sided, in (0, 0.5).")
    score_samples: int | None = _option(10_000, "Training rows to score, drawn at random. None: all.")
    seed: int = _option(0, "Seed of what is drawn.")
    eval_dataset: str | None = _option(
        None, "Of several evaluation datasets, the name of the one to search and compare on. None: the first."
    )

    def __post_init__(self):
        for name in ("start", "threshold"):  # numbers that a command line or a file gave as words
            object.__setattr__(self, name, _number(getattr(self, name)))
        self._check_choices()
        self._check_types()
        self._check_ranges()
        self._check_ignored()
        self.start_step(max_steps=2, steps_per_epoch=1.0, check=False)

    def _check_choices(self) -> None:
        for name, kind in _hints().items():
            value, values = getattr(self, name), get_args(kind)
            if name == "criterion":
                values = CRITERION_NAMES
            elif get_origin(kind) is not Literal:
                continue
            if value not in values and not (name == "criterion" and _is_registered(value)):
                raise ValueError(f"{name}={value!r}: must be one of {', '.join(map(repr, values))}.")

    def _check_types(self) -> None:
        # Exactly what JSON holds: a numpy number would be found out when the record is written, after the training.
        numbers: dict[str, type] = {"keep": float, "dropout_rate": float, "margin": float, "alpha": float}
        numbers |= {"pruning_steps": int, "score_samples": int, "seed": int}
        for name, kind in numbers.items():
            value = getattr(self, name)
            if value is None and name in ("keep", "score_samples"):
                continue
            if isinstance(value, bool) or not isinstance(value, (int, kind)):
                raise ValueError(f"{name}={value!r} of type {type(value).__name__}: must be of type {kind.__name__}.")
        for name in ("graded", "rewind_learning_rate"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r}: must be True or False.")
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, (int, float, str, type(None))):
            raise ValueError(f"threshold={self.threshold!r}: must be a number of bits or {SEARCH!r}.")
        if not isinstance(self.eval_dataset, (str, type(None))):
            raise ValueError(
                f"eval_dataset={self.eval_dataset!r}: must be the name of one of the Trainer's eval datasets."
            )

    def _check_ranges(self) -> None:
        if self.threshold is not None and self.keep is not None:
            raise ValueError(f"threshold={self.threshold!r} and keep={self.keep}: give one of the two.")
        if isinstance(self.threshold, str):
            if self.threshold != SEARCH:
                raise ValueError(f"threshold={self.threshold!r}: must be a number of bits or {SEARCH!r}.")
        elif self.threshold is not None:
            if self.criterion != "mutual_information":
                raise ValueError(
                    f"threshold={self.threshold} bits with criterion={self.criterion!r}, which is not in bits: "
                    f"give keep or threshold={SEARCH!r}."
                )
            if not self.threshold > 0:
                raise ValueError(
                    f"threshold={self.threshold} bits would drop nothing: must be above 0 and below log2(classes)."
                )
        if self.keep is not None and not 0 < self.keep < 1:
            raise ValueError(
                f"keep={self.keep} would drop {'nothing' if self.keep >= 1 else 'everything'}: must be in (0, 1)."
            )
        if not 0 < self.dropout_rate < 1:
            raise ValueError(f"dropout_rate={self.dropout_rate}: must be in (0, 1).")
        if self.pruning_steps < 1:
            raise ValueError(f"pruning_steps={self.pruning_steps}: must be 1 or more.")
        if self.pruning_steps > 1 and (self.threshold is not None or self.action != "prune"):
            raise ValueError(
                f"pruning_steps={self.pruning_steps}: several need a final budget `keep` and action='prune'."
            )
        if not 0 < self.margin < math.inf:
            raise ValueError(f"margin={self.margin}: must be above 0, such as 0.01.")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha={self.alpha}: must be in (0, 0.5).")
        if self.score_samples is not None and self.score_samples < 2:
            raise ValueError(f"score_samples={self.score_samples}: must be 2 or more, or None for all.")

    def _check_ignored(self) -> None:
        """`ValueError` for a field with another value than its default that has no effect beside the others."""
        drops = self.action != "none"
        effective = {
            "threshold": drops,
            "keep": drops,
            "criterion": drops,
            "scope": drops,
            "reconstruction": self.action == "prune",
            "dropout_rate": self.action == "dropout",
            "graded": self.action == "dropout",
            "rewind_learning_rate": drops,
            "metric": self.threshold == SEARCH,
            "margin": self.threshold == SEARCH,
            "alpha": self.threshold == SEARCH,
        }
        needs = {"reconstruction": "action='prune'", "dropout_rate": "action='dropout'", "graded": "action='dropout'"}
        needs |= dict.fromkeys(("metric", "margin", "alpha"), f"threshold={SEARCH!r}")
        for each in fields(self):
            value = getattr(self, each.name)
            if not effective.get(each.name, True) and value != each.default and each.default is not MISSING:
                need = needs.get(each.name, "an action that drops neurons")
                given = f"action={self.action!r}" if "action" in need else f"threshold={self.threshold!r}"
                raise ValueError(f"{each.name}={value!r} has no effect with {given}: it needs {need}.")

    @property
    def searches(self) -> bool:
        """Whether the threshold is to be found by comparing networks on validation rows."""
        return self.threshold == SEARCH and self.action != "none"

    @property
    def keep_schedule(self) -> list[float | None]:
        """The fraction of all neurons that each pruning step leaves."""
        if self.threshold is not None:
            return [None]
        keep = DEFAULT_KEEP if self.keep is None else self.keep
        return [keep ** (number / self.pruning_steps) for number in range(1, self.pruning_steps + 1)]

    def step_schedule(self, max_steps: int, steps_per_epoch: float | None) -> list[int]:
        """
        The optimizer steps after which neurons are scored and dropped; see `start_step`.

        Raises:
            `ValueError`: if there are fewer optimizer steps than pruning steps.
        """
        first = self.start_step(max_steps, steps_per_epoch)
        steps = [first + (max_steps - first) * number // self.pruning_steps for number in range(self.pruning_steps)]
        if len(set(steps)) < self.pruning_steps:
            raise ValueError(
                f"pruning_steps={self.pruning_steps}: only {max_steps - first} steps are left after step {first}; "
                "each needs one."
            )
        return steps

    def start_step(self, max_steps: int, steps_per_epoch: float | None, check: bool = True) -> int:
        """
        The optimizer step after which neurons are scored.

        Args:
            max_steps (`int`): Optimizer steps of the whole training.
            steps_per_epoch (`float`, *optional*): Optimizer steps of one epoch; `None` if the data have no length.
            check (`bool`, *optional*, defaults to `True`): Whether the step must lie within the training.

        Raises:
            `ValueError`: if `start` is malformed, or leaves no step before or after it.
        """
        if isinstance(self.start, str):
            match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*epochs?\s*", self.start)
            if not match or float(match[1]) == 0:
                raise ValueError(f"start={self.start!r}: a string must read like '2 epochs' or '0.5 epochs'.")
            if steps_per_epoch is None:
                raise ValueError(f"start={self.start!r}: the training data have no length; give a number of steps.")
            step = round(float(match[1]) * steps_per_epoch)
        elif isinstance(self.start, bool) or not isinstance(self.start, (int, float)):
            raise ValueError(f"start={self.start!r}: must be a fraction, a number of steps, or like '2 epochs'.")
        elif self.start >= 1 and float(self.start).is_integer():
            step = int(self.start)
        elif isinstance(self.start, float) and 0 < self.start < 1:
            step = max(1, math.floor(self.start * max_steps))
        else:
            raise ValueError(
                f"start={self.start!r}: must be a fraction of the training in (0, 1), an int of at least 1 step, "
                "or like '2 epochs'."
            )
        if check and max_steps < 2:
            raise ValueError(
                f"Training has {max_steps} optimizer step(s): needs at least 2, one before and one after pruning."
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
        if isinstance(self.threshold, (int, float)) and self.threshold >= ceiling:
            raise ValueError(
                f"threshold={self.threshold} bits would drop everything: no neuron can carry more than "
                f"log2({num_classes}) = {ceiling:.3f} bits about {num_classes} classes; must be below that."
            )

    def differences(self, other: dict[str, Any]) -> str:
        """Fields with another value in `other`, what `to_dict` gave, such as "keep=0.25 (was 0.5)"; else ""."""
        mine = self.to_dict()
        return ", ".join(
            f"{name}={mine[name]!r} (was {other.get(name)!r})" for name in mine if mine[name] != other.get(name)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> MIDropoutConfig:
        """
        Raises:
            `ValueError`: for a name that is no field, or a value that is refused.
        """
        unknown = sorted(content.keys() - {each.name for each in fields(cls)})
        if unknown:
            raise ValueError(f"{', '.join(unknown)}: no field of {cls.__name__}.")
        return cls(**content)

    def save(self, path: str | os.PathLike) -> None:
        """Writes JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike) -> MIDropoutConfig:
        """Reads what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))


def _hints() -> dict[str, Any]:
    hints = get_type_hints(MIDropoutConfig)
    return {each.name: hints[each.name] for each in fields(MIDropoutConfig)}


def _number(value: Any) -> Any:
    """A number in place of a word that reads as one."""
    if not isinstance(value, str):
        return value
    try:
        number = json.loads(value)
    except ValueError:
        return value
    return number if isinstance(number, (int, float)) and not isinstance(number, bool) else value


def _is_registered(criterion: Any) -> bool:
    from .criteria import CRITERIA as REGISTERED  # torch: only where a name is not one of the package's

    return isinstance(criterion, str) and criterion in REGISTERED
