"""What is wrong with a `hf-midropout prune`, said before anything is measured."""

from __future__ import annotations

import os
from pathlib import Path

from ...choices import ENCODER_CRITERION_NAMES, Scope
from ...pruning.config_checks import FEWEST_ROWS, check_comparable
from ..checkpoint.checks import check_rows, check_seed
from ..options.names import options_named
from .arguments import AUTO, DEFAULT_MARGIN, PruneArguments
from .speed import check_speed


DTYPES = ("auto", "float32", "float16", "bfloat16")


def check_arguments(args: PruneArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself."""
    if args.criterion not in ENCODER_CRITERION_NAMES:
        raise ValueError(f"--criterion {args.criterion}: must be one of {', '.join(ENCODER_CRITERION_NAMES)}.")
    keep = args.fraction
    if isinstance(args.keep, str) and args.keep != AUTO:
        raise ValueError(f"--keep {args.keep}: must be a number in (0, 1), or {AUTO}.")
    if keep is not None and not 0 < keep < 1:
        raise ValueError(f"--keep {keep}: would drop {'nothing' if keep >= 1 else 'everything'}; must be in (0, 1).")
    if not 0 < args.margin < 1:
        raise ValueError(f"--margin {args.margin}: must be in (0, 1), such as 0.01.")
    if args.keep != AUTO and args.margin != DEFAULT_MARGIN:
        given = f"--speedup {args.speedup:g}" if keep is None else f"--keep {keep}"
        raise ValueError(f"--margin {args.margin} has no effect with {given}: it goes with --keep {AUTO}.")
    if args.dtype not in DTYPES:
        raise ValueError(f"--dtype {args.dtype}: must be one of {', '.join(DTYPES)}.")
    if args.keep_layers is not None and args.keep_layers < 1:
        raise ValueError(f"--keep_layers {args.keep_layers}: would drop every layer; must be 1 or more.")
    if args.max_samples < FEWEST_ROWS:
        raise ValueError(f"--max_samples {args.max_samples}: must be {FEWEST_ROWS} rows or more to reconstruct from.")
    if args.max_eval_samples < 1:
        raise ValueError(f"--max_eval_samples {args.max_eval_samples}: must be 1 or more.")
    check_seed(args.seed)
    check_scope(args)
    check_rows(args)
    check_speed(args)
    path = Path(args.output_dir)
    if not args.output_dir.strip():
        raise ValueError("--output_dir: must name a folder.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"--output_dir {args.output_dir}: exists already and is not empty; name another.")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(parent, os.W_OK):
        raise ValueError(f"--output_dir {args.output_dir}: {parent} may not be written to.")


def check_scope(args: PruneArguments) -> None:
    """`ValueError` for a `--scope` at odds with other options."""
    if args.scope == "layer":
        return
    with options_named(type(args)):
        check_comparable(args.criterion, "scope='global'")
    if args.speedup is not None:
        raise ValueError(
            f"--scope global with --speedup {args.speedup:g}: the width that is fast enough is found with as many "
            "neurons in each layer. Give --scope layer, or --keep."
        )


def check_checkpoint(name: str, model, keep: float | None, scope: Scope = "layer") -> None:
    """`ValueError` for a classifier whose encoder cannot be pruned, or not so little, or not in layers so wide."""
    from ...groups import find_groups
    from ...pruning.encoder.checks import check_widths
    from ...pruning.encoder.width_allocation import width_for

    if getattr(model.config, "quantization_config", None) is not None:
        raise ValueError(f"--checkpoint {name}: it is quantised; prune the model that it was made from.")
    try:
        groups = find_groups(model, "encoder")
        with options_named(PruneArguments):
            check_widths(model, scope)
    except ValueError as error:
        raise ValueError(f"--checkpoint {name}: {error}") from None
    if keep is None:
        return
    widths = {group.num_units: width_for(keep, group.num_units) for group in groups.values()}
    if all(kept >= units for units, kept in widths.items()):
        raise ValueError(
            f"--keep {keep}: would drop none of the {max(widths):,} neurons of a layer, as their number is rounded to "
            f"{max(widths.values()):,}; must be less."
        )
