"""The Trainer's own arguments, from the options of `hf-midropout train`."""

from __future__ import annotations

from dataclasses import MISSING
from typing import Any

from .arguments import DEFAULTS, TrainArguments
from .trainer_options import training_parser


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
        "report_to": args.report_to or [],
        **DEFAULTS,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "ddp_find_unused_parameters": False,
    }
    for name in (
        "warmup_steps", "weight_decay", "per_device_train_batch_size", "per_device_eval_batch_size",
        "gradient_accumulation_steps", "bf16", "fp16", "seed",
    ):  # fmt: skip
        values[name] = getattr(args, name)
    if args.quiet:
        values |= {"disable_tqdm": True, "log_level": "error"}
    values |= given_options(args.training_options)
    try:
        arguments = TrainingArguments(**values)
        device = arguments.device  # joins the other processes, if there are any
    except (TypeError, ImportError) as error:
        raise ValueError(f"{' '.join(args.training_options)}: {error}") from error
    if args.fp16 and device.type == "cpu":
        raise ValueError("--fp16 needs a GPU, and this run is on the CPU: leave it out, or give --bf16.")
    return arguments


def given_options(options: list[str]) -> dict[str, Any]:
    """The fields of [`~transformers.TrainingArguments`] that `options`, checked before, give."""
    if not options:
        return {}
    parser = training_parser()
    parser.set_defaults(**{action.dest: MISSING for action in parser._actions})
    namespace, _ = parser.parse_known_args(options)
    return {name: value for name, value in vars(namespace).items() if value is not MISSING}


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
