"""The head that `hf-midropout train` puts on a model: its options, and whether it can be had."""

from __future__ import annotations

import os
from typing import Any

from ...model_types import HEAD_ARCHITECTURES, stock_type
from ..options.names import options_named
from .arguments import TrainArguments


def head_options(args: TrainArguments, rows: int) -> dict[str, Any]:
    """The fields of a configuration that the options set, for so many training rows."""
    names = ("head_widths", "head_activation", "head_dropout", "head_regularizer_weight", "head_samples")
    head = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.head_regularizer is None:
        return head
    from ...regularizers import default_weight

    default = default_weight(args.head_regularizer, rows)
    # A rate or weight of the model's former regularizer says nothing of this one.
    return {
        "head_dropout": None,
        "head_regularizer_weight": default,
        **head,
        "head_regularizer": args.head_regularizer,
    }


def hidden_size(config: dict[str, Any]) -> int:
    """By a `config.json`; 0 if it does not say."""
    value = config.get(HEAD_ARCHITECTURES[str(stock_type(config["model_type"]))].hidden_size)
    return value if isinstance(value, int) else 0


def check_head(args: TrainArguments, hidden_size: int) -> None:
    """`ValueError` for an unknown activation or regularizer, or widths for which there is not enough memory."""
    from transformers.activations import ACT2FN

    from ...regularizers import check_regularizer

    if args.head_activation is not None and args.head_activation not in ACT2FN:
        raise ValueError(f"--head_activation {args.head_activation}: must be one of {', '.join(sorted(ACT2FN))}.")
    if args.head_regularizer is not None or args.model is None:
        with options_named(TrainArguments):
            check_regularizer(args.head_regularizer or "dropout", args.head_dropout, args.head_regularizer_weight)
    widths = args.head_widths or []
    weights = sum(one * other for one, other in zip([hidden_size, *widths], widths, strict=False))
    memory = total_memory()
    # Four numbers of four bytes each: weight, gradient, and two averages of AdamW.
    if memory is not None and 16 * weights > memory:
        raise ValueError(
            f"--head_widths {' '.join(map(str, widths))}: {weights:,} weights and their optimizer's state take "
            f"{16 * weights / 2**30:.0f} GiB, and this machine has {memory / 2**30:.0f}."
        )


def total_memory() -> int | None:
    """Bytes of this machine's memory; `None` where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
