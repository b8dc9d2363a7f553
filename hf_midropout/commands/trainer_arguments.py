"""The Trainer's own arguments, from the options of `hf-midropout train`."""

from __future__ import annotations

import json
from typing import Any

from .train_arguments import TrainArguments


def training_arguments(args: TrainArguments):
    """
    The [`~transformers.TrainingArguments`] of a run.

    Raises:
        `ValueError`: for a value that they do not take, or that does not fit the machine.
    """
    import torch
    from transformers import TrainingArguments

    check_reporting(args.report_to or [])
    values: dict[str, Any] = {
        "output_dir": args.output_dir,
        "num_train_epochs": args.num_train_epochs,
        "learning_rate": args.learning_rate,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "logging_steps": 25,
        "report_to": args.report_to or [],
        "dataloader_pin_memory": torch.cuda.is_available(),
        "ddp_find_unused_parameters": False,
    }
    for name in (
        "warmup_steps", "weight_decay", "per_device_train_batch_size", "per_device_eval_batch_size",
        "gradient_accumulation_steps", "bf16", "fp16", "seed",
    ):  # fmt: skip
        values[name] = getattr(args, name)
    values |= assignments(args.trainer or [])
    try:
        arguments = TrainingArguments(**values)
        device = arguments.device  # joins the other processes, if there are any
    except (TypeError, ImportError) as error:
        raise ValueError(f"--trainer {' '.join(args.trainer or [])}: {error}") from error
    if args.fp16 and device.type == "cpu":
        raise ValueError("--fp16 needs a GPU, and this run is on the CPU: leave it out, or give --bf16.")
    return arguments


def assignments(given: list[str]) -> dict[str, Any]:
    """The values that `--trainer` gives, of the types that the fields of TrainingArguments have."""
    if not given:
        return {}
    from argparse import ArgumentError

    from transformers import HfArgumentParser, TrainingArguments

    parser = HfArgumentParser(TrainingArguments, exit_on_error=False)
    values: dict[str, Any] = {}
    for assignment in given:
        name, _, text = assignment.partition("=")
        if name not in TrainingArguments.__dataclass_fields__:
            raise ValueError(f"--trainer {assignment}: must be name=value with a field of TrainingArguments.")
        try:
            content = json.loads(text)
        except ValueError:
            content = text
        if content is None:
            values[name] = None
            continue
        words = [str(each) for each in content] if isinstance(content, list) else [text]
        try:
            option = [f"--{name}={words[0]}"] if len(words) == 1 else [f"--{name}", *words]  # a word may begin with -
            namespace, _ = parser.parse_known_args(option)
        except ArgumentError as error:
            raise ValueError(f"--trainer {assignment}: {error.message}.") from None
        values[name] = getattr(namespace, name)
    return values


def check_reporting(names: list[str]) -> None:
    """`ValueError` for a place to log to that is unknown, or whose package is not installed."""
    if not names:
        return
    from transformers.integrations.integration_utils import (
        INTEGRATION_TO_CALLBACK,
        get_available_reporting_integrations,
    )

    installed = get_available_reporting_integrations()
    for name in names:
        if name in ("none", "all") and len(names) == 1:
            continue
        if name not in INTEGRATION_TO_CALLBACK:
            raise ValueError(f"--report_to {name}: must be among {', '.join(INTEGRATION_TO_CALLBACK)}.")
        if name not in installed and name != "flyte":  # of which transformers does not tell
            there = ", ".join(installed) or "none"
            raise ValueError(f"--report_to {name}: its package is not installed or not set up (installed: {there}).")
