"""What makes a [`MIDropoutConfig`] wrong: values of the wrong type, out of range, or without effect."""

from __future__ import annotations

import math
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from ..choices import COMPARABLE_CRITERIA, CRITERION_NAMES, ENCODER_CRITERION_NAMES, SEARCH


if TYPE_CHECKING:
    from .config import MIDropoutConfig


FEWEST_ROWS = 100
"""To measure and refit the neurons of an encoder with."""


def check_config(config: MIDropoutConfig) -> None:
    """`ValueError` that names the field, its value and what is allowed."""
    check_choices(config)
    check_types(config)
    check_ranges(config)
    check_ignored(config)
    if config.targets != "head":
        check_encoder_options(config)


def check_encoder_options(config: MIDropoutConfig) -> None:
    """`ValueError` for what can be done to the neurons of a head only."""
    allowed: dict[str, tuple[str, ...]] = {"action": ("prune", "none"), "reconstruction": ("least_squares", "none")}
    if config.targets == "all":
        allowed["scope"] = ("layer",)
    for name, values in allowed.items():
        value = getattr(config, name)
        if value not in values:
            raise ValueError(
                f"{name}={value!r} with targets={config.targets!r}: must be {' or '.join(map(repr, values))}."
            )
    if config.scope == "global":
        check_comparable(config.criterion_of("encoder"), "scope='global'")
    if config.threshold is not None and config.threshold != SEARCH:
        raise ValueError(
            f"threshold={config.threshold} bits with targets={config.targets!r}: give keep or threshold={SEARCH!r}."
        )


def check_comparable(criterion: str, option: str) -> None:
    """`ValueError` for a criterion whose values do not compare over the layers of an encoder, as `option` needs."""
    if criterion not in COMPARABLE_CRITERIA:
        raise ValueError(
            f"criterion={criterion!r} with {option}: its values do not compare over layers; must be one of "
            f"{', '.join(map(repr, COMPARABLE_CRITERIA))}."
        )


def check_choices(config: MIDropoutConfig) -> None:
    """`ValueError` for a word that is none of those a field takes."""
    for name, kind in get_type_hints(type(config)).items():
        value, values = getattr(config, name), get_args(kind)
        if get_origin(kind) is Literal and value not in values:
            raise ValueError(f"{name}={value!r}: must be one of {', '.join(map(repr, values))}.")
    known = ENCODER_CRITERION_NAMES if config.targets == "encoder" else CRITERION_NAMES
    if config.criterion is not None and config.criterion not in known and not is_registered(config):
        raise ValueError(
            f"criterion={config.criterion!r} with targets={config.targets!r}: must be one of "
            f"{', '.join(map(repr, known))}, or None."
        )


def check_types(config: MIDropoutConfig) -> None:
    """`ValueError` for a value of another type than its field has."""
    # Exactly what JSON holds: a numpy number would be found out when the record is written, after the training.
    numbers: dict[str, type] = {"keep": float, "dropout_rate": float, "margin": float, "alpha": float}
    numbers |= {"distill": float, "distill_temperature": float}
    numbers |= {"pruning_steps": int, "score_samples": int, "seed": int, "reconstruction_samples": int}
    for name, kind in numbers.items():
        value = getattr(config, name)
        if value is None and name in ("keep", "score_samples"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, kind)):
            raise ValueError(f"{name}={value!r} of type {type(value).__name__}: must be of type {kind.__name__}.")
    for name in ("graded", "rewind_learning_rate", "baselines"):
        if not isinstance(getattr(config, name), bool):
            raise ValueError(f"{name}={getattr(config, name)!r}: must be True or False.")
    if isinstance(config.threshold, bool) or not isinstance(config.threshold, (int, float, str, type(None))):
        raise ValueError(f"threshold={config.threshold!r}: must be a number of bits or {SEARCH!r}.")
    if not isinstance(config.eval_dataset, (str, type(None))):
        raise ValueError(
            f"eval_dataset={config.eval_dataset!r}: must be the name of one of the Trainer's eval datasets."
        )


def check_ranges(config: MIDropoutConfig) -> None:
    """`ValueError` for a number that is out of range, or two fields at odds."""
    if config.threshold is not None and config.keep is not None:
        raise ValueError(f"threshold={config.threshold!r} and keep={config.keep}: give one of the two.")
    if isinstance(config.threshold, str):
        if config.threshold != SEARCH:
            raise ValueError(f"threshold={config.threshold!r}: must be a number of bits or {SEARCH!r}.")
    elif config.threshold is not None:
        if config.criterion not in (None, "mutual_information"):
            raise ValueError(
                f"threshold={config.threshold} bits with criterion={config.criterion!r}, which is not in bits: "
                f"give keep or threshold={SEARCH!r}."
            )
        if not config.threshold > 0:
            raise ValueError(
                f"threshold={config.threshold} bits would drop nothing: must be above 0 and below log2(classes)."
            )
    if config.keep is not None and not 0 < config.keep < 1:
        raise ValueError(
            f"keep={config.keep} would drop {'nothing' if config.keep >= 1 else 'everything'}: must be in (0, 1)."
        )
    if not 0 < config.dropout_rate < 1:
        raise ValueError(f"dropout_rate={config.dropout_rate}: must be in (0, 1).")
    if config.pruning_steps < 1:
        raise ValueError(f"pruning_steps={config.pruning_steps}: must be 1 or more.")
    if config.pruning_steps > 1 and (config.threshold is not None or config.action != "prune"):
        raise ValueError(
            f"pruning_steps={config.pruning_steps}: several need a final budget `keep` and action='prune'."
        )
    if not 0 < config.margin < math.inf:
        raise ValueError(f"margin={config.margin}: must be above 0, such as 0.01.")
    if not 0 < config.alpha < 0.5:
        raise ValueError(f"alpha={config.alpha}: must be in (0, 0.5).")
    if config.reconstruction_samples < FEWEST_ROWS:
        raise ValueError(
            f"reconstruction_samples={config.reconstruction_samples}: must be {FEWEST_ROWS} rows or more."
        )
    if not 0 <= config.distill <= 1:
        raise ValueError(f"distill={config.distill}: must be in [0, 1].")
    if not 0 < config.distill_temperature < math.inf:
        raise ValueError(f"distill_temperature={config.distill_temperature}: must be above 0, such as 2.")
    if config.score_samples is not None and config.score_samples < 2:
        raise ValueError(f"score_samples={config.score_samples}: must be 2 or more, or None for all.")


def check_ignored(config: MIDropoutConfig) -> None:
    """`ValueError` for a field with another value than its default that has no effect beside the others."""
    drops = config.action != "none"
    effective = {
        "threshold": drops,
        "keep": drops,
        "criterion": drops,
        "scope": drops,
        "reconstruction": config.action == "prune",
        "reconstruction_samples": config.targets != "head" and drops,
        "baselines": drops,
        "distill": config.action == "prune",
        "distill_temperature": config.distill > 0,
        "dropout_rate": config.action == "dropout",
        "graded": config.action == "dropout",
        "rewind_learning_rate": drops,
        "metric": config.threshold == SEARCH,
        "margin": config.threshold == SEARCH,
        "alpha": config.threshold == SEARCH,
    }
    needs = {"reconstruction": "action='prune'", "dropout_rate": "action='dropout'", "graded": "action='dropout'"}
    needs |= dict.fromkeys(("metric", "margin", "alpha"), f"threshold={SEARCH!r}")
    needs |= {"distill": "action='prune'", "distill_temperature": "distill above 0"}
    if config.targets == "head":
        needs["reconstruction_samples"] = "targets='encoder' or 'all'"
    for each in fields(config):
        value = getattr(config, each.name)
        if not effective.get(each.name, True) and value != each.default and each.default is not MISSING:
            need = needs.get(each.name, "an action that drops neurons")
            beside = next(name for name in ("action", "threshold", "distill", "targets") if name in need)
            given = f"{beside}={getattr(config, beside)!r}"
            raise ValueError(f"{each.name}={value!r} has no effect with {given}: it needs {need}.")


def is_registered(config: MIDropoutConfig) -> bool:
    """Whether its criterion is one that a user registered."""
    from .criteria import CRITERIA, ENCODER_CRITERIA  # torch: only where a name is not one of the package's

    return config.criterion in (ENCODER_CRITERIA if config.targets == "encoder" else CRITERIA)
