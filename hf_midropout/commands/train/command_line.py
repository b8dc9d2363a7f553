"""The command line that gives the options of a run: for the launcher, and to be published."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace

from ...pruning.config import MIDropoutConfig
from .arguments import TrainArguments


HIDDEN = ("MIDropoutConfig.seed", "MIDropoutConfig.eval_dataset", "TrainArguments.training_options")
"""Fields that a run sets itself."""


def published_command(args: TrainArguments, config: MIDropoutConfig, model_source: str, data_source: str) -> str:
    """The command line without where files lie on someone's machine, and without tokens."""
    from ...reporting.building import without_tokens
    from ...reporting.card_facts import public_name

    shown = replace(
        args,
        model=public_name(args.model, model_source),
        dataset=public_name(args.dataset, data_source),
        output_dir=str(public_name(args.output_dir, None)),
        overwrite_output_dir=False,
        resume=None,
        training_options=without_tokens({"training_options": args.training_options})["training_options"],
    )
    return shlex.join(["hf-midropout", "train", *command_line(shown, config)])


def command_line(args: TrainArguments, config: MIDropoutConfig) -> list[str]:
    """The options that give `args` and `config`, without those of the launcher."""
    options: list[str] = []
    for given in (args, config):
        for field in fields(given):
            value = getattr(given, field.name)
            hidden = f"{type(given).__name__}.{field.name}" in HIDDEN
            if hidden or field.name.startswith("accelerate") or value == field.default:
                continue
            values = value if isinstance(value, list) else [value]
            options += [f"--{field.name}", *map(str, values)]
    return [*options, *args.training_options]
