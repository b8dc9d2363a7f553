"""What [`MIDropoutCallback`] is to do, and when."""

from __future__ import annotations

import json
import math
import os
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ..choices import DEFAULT_CRITERIA, SEARCH, Action, Metric, ReconstructionKind, Scope, Targets
from ..utils.files import write_json
from .config_checks import check_config


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

    targets: Targets = _option(
        "head",
        "Which neurons: 'head', the hidden layers of a MI-Dropout head; 'encoder', the feed-forward neurons of the "
        "encoder, where size and time are; 'all'.",
    )
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
        "as in the paper. A threshold in bits is always global. In an encoder 'global' gives layers different widths, "
        "at no more multiplications: such a model is no longer of transformers' own class, and loads where this "
        "package is installed or with trust_remote_code; not in a training.",
    )
    criterion: str | None = _option(
        None,
        "What makes a neuron important: mutual_information; joint_information, which passes over neurons that repeat "
        "others; or a baseline: magnitude, std_times_norm, taylor, random. In the encoder also prediction_information "
        "(bits about the prediction that only the neuron carries), prediction_variance, brain_surgeon, mask_fisher. "
        "None: mutual_information in the head, prediction_information in the encoder.",
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
    reconstruction_samples: int = _option(
        2048, "Of these, how many to measure and refit the neurons of an encoder with, whose activations are kept."
    )
    baselines: bool = _option(
        True,
        "Also tell what magnitude, std_times_norm and random neurons would give at the same budget. In the encoder "
        "each costs about a forward pass over reconstruction_samples.",
    )
    distill: float = _option(
        0.0,
        "Share of the loss in retraining that is the divergence from the network before pruning (knowledge "
        "distillation: Hinton et al., 2015), in [0, 1].",
    )
    distill_temperature: float = _option(2.0, "The temperature at which the two predictions are compared.")
    seed: int = _option(0, "Seed of what is drawn.")
    eval_dataset: str | None = _option(
        None, "Of several evaluation datasets, the name of the one to search and compare on. None: the first."
    )

    def __post_init__(self):
        for name in ("start", "threshold"):  # numbers that a command line or a file gave as words
            object.__setattr__(self, name, _number(getattr(self, name)))
        check_config(self)
        self.start_step(max_steps=2, steps_per_epoch=1.0, check=False)

    def criterion_of(self, targets: str) -> str:
        """The criterion for the groups of `targets`, `"head"` or `"encoder"`."""
        return self.criterion or DEFAULT_CRITERIA[targets]

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

    def of_training(self) -> dict[str, Any]:
        """Fields that concern a training, whose values are not the defaults."""
        names = ("start", "rewind_learning_rate", "distill", "distill_temperature", "eval_dataset")
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name in names and getattr(self, each.name) != each.default
        }

    def differences(self, other: dict[str, Any]) -> str:
        """Fields with another value in `other`, what `to_dict` gave, such as "keep=0.25 (was 0.5)"; else ""."""
        mine = self.to_dict()
        return ", ".join(
            f"{name}={mine[name]!r} (was {other.get(name)!r})" for name in mine if mine[name] != other.get(name)
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `from_dict` reads it back."""
        return asdict(self)

    def recorded(self) -> dict[str, Any]:
        """What is recorded: `to_dict`, with the criterion that None stands for, and the head's beside an encoder's."""
        content = {**self.to_dict(), "criterion": self.criterion_of("head" if self.targets == "head" else "encoder")}
        return content | ({"head_criterion": self.criterion_of("head")} if self.targets == "all" else {})

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


def _number(value: Any) -> Any:
    """A number in place of a word that reads as one."""
    if not isinstance(value, str):
        return value
    try:
        number = json.loads(value)
    except ValueError:
        return value
    return number if isinstance(number, (int, float)) and not isinstance(number, bool) else value
