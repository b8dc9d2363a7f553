"""The command line of a pruning, as it may be published."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

from .arguments import PruneArguments


def command_line(args: PruneArguments, checkpoint_source: str, data_source: str) -> str:
    """
    The criterion, the fraction to keep or the speed, and other options that are not the default ones, as they may be
    published: where files lie on someone's machine is nobody's business.
    """
    from ...reporting.card_facts import public_name

    public = {
        "checkpoint": public_name(args.checkpoint, checkpoint_source),
        "dataset": public_name(args.dataset, data_source),
        "output_dir": public_name(args.output_dir, None),
    }
    words = ["hf-midropout", "prune", str(public.pop("checkpoint"))]
    for field in fields(args):
        value = getattr(args, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if field.name in ("checkpoint", "quiet", "log_level") or (value == default and field.name != "criterion"):
            continue
        shown: Iterable[Any] = value if isinstance(value, list) else [public.get(field.name) or value]
        words += [f"--{field.name}", *map(str, shown)]
    return shlex.join(words)
