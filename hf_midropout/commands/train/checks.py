"""What is wrong with the options of `hf-midropout train`, told before torch is imported."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from ...choices import FEWEST_TOKENS, TINY_MAX_LENGTH
from ...training.launcher import config_file
from ...training.output_place import check_name
from ...utils.local_paths import DATA_SUFFIXES, is_meant_as_path, missing_path
from .arguments import NEWEST, TrainArguments


MAX_HEAD_WIDTH = 1_000_000
MAX_SEED = 2**32 - 1

# Options, what is allowed, and how to say it. MIDropoutConfig checks its own.
LIMITS: tuple[tuple[tuple[str, ...], Any, str], ...] = (
    (("validation_fraction",), lambda value: 0 < value < 1, "a fraction above 0 and below 1"),
    (("max_train_samples",), lambda value: value >= 2, "2 or more, as there are two classes or more"),
    (("max_eval_samples",), lambda value: value >= 1, "1 or more"),
    (
        ("max_length",),
        lambda value: value >= FEWEST_TOKENS,
        f"{FEWEST_TOKENS} or more, two of which are special tokens",
    ),
    (("num_train_epochs", "learning_rate"), lambda value: 0 < value < math.inf, "a number above 0"),
    (("warmup_steps", "weight_decay"), lambda value: 0 <= value < math.inf, "a number of 0 or more"),
    (
        ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"),
        lambda value: value >= 1,
        "1 or more",
    ),
    (("seed",), lambda value: 0 <= value <= MAX_SEED, f"0 to {MAX_SEED}"),
    (("compare",), lambda value: value == "dense", "dense"),
    (("head_samples",), lambda value: value >= 1, "1 or more"),
    (("head_dropout", "head_regularizer_weight"), lambda value: 0 <= value < math.inf, "a number of 0 or more"),
    (
        ("head_widths",),
        lambda value: all(1 <= width <= MAX_HEAD_WIDTH for width in value),
        f"widths of 1 to {MAX_HEAD_WIDTH:,} neurons",
    ),
)


def check_options(args: TrainArguments) -> None:
    """`ValueError`, naming the option, its value and what is allowed, for what can be told from the options alone."""
    for names, allowed, text in LIMITS:
        for name in names:
            value = getattr(args, name)
            if value is not None and not allowed(value):
                raise ValueError(f"{as_typed(name, value)}: must be {text}.")
    if args.model is None and args.max_length is not None and args.max_length > TINY_MAX_LENGTH:
        raise ValueError(
            f"--max_length {args.max_length}: the tiny model takes at most {TINY_MAX_LENGTH} tokens; name "
            "another with --model."
        )
    for one, other in (("bf16", "fp16"), ("resume", "overwrite_output_dir")):
        if getattr(args, one) and getattr(args, other):
            raise ValueError(f"--{one} and --{other}: give one of the two.")
    if args.accelerate and not args.accelerate_config:
        raise ValueError("--accelerate: its settings go before those of a file; name one with --accelerate_config.")
    if args.accelerate_config:
        config_file(args.accelerate_config)
    for name in ("model", "dataset"):
        check_source(name, getattr(args, name))


def check_resumed(args: TrainArguments, newest: str | None) -> None:
    """`ValueError` for a checkpoint to go on from that is not the `newest` whole one: those after it would stay."""
    if args.resume in (None, NEWEST) or newest is None:
        return
    if Path(str(args.resume)).expanduser().resolve() != Path(newest).resolve():
        raise ValueError(
            f"--resume {args.resume}: must be {newest}, the newest whole checkpoint in --output_dir, which --resume "
            "without a value takes."
        )


def check_source(option: str, value: str | None) -> None:
    """`ValueError` for what reads like a path, and is none: the Hub need not be asked."""
    if value is None:
        return
    check_name(f"--{option}", value)
    there = bool(value.strip()) and Path(value).exists()
    if not there and is_meant_as_path(value, DATA_SUFFIXES if option == "dataset" else ()):
        example = "albert/albert-base-v2" if option == "model" else "fancyzhx/ag_news"
        raise ValueError(f"--{option} {value}: {missing_path(value)} Nor is it an id on the Hub, such as {example}.")
    if there and not os.access(value, os.R_OK):
        raise ValueError(f"--{option} {value}: may not be read.")


def as_typed(name: str, value: Any) -> str:
    """An option as it is given in the shell."""
    values = value if isinstance(value, list) else [value]
    return " ".join([f"--{name}", *map(str, values)])
