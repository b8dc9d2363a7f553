"""What is wrong with a `hf-midropout prune`, said before anything is measured."""

from __future__ import annotations

import os
from pathlib import Path

from ...choices import ENCODER_CRITERION_NAMES, Scope
from ...pruning.config_checks import FEWEST_ROWS, check_comparable
from ...training.output_place import check_name
from ...utils.files import try_folder
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


def output_folder(name: str) -> Path:
    """
    The folder that `--output_dir` names; of a link, where it leads.

    Raises:
        `ValueError`: for a place that is taken, or where no folder can be made.
    """
    if not name.strip():
        raise ValueError("--output_dir: must name a folder.")
    check_name("--output_dir", name)
    path = Path(name).expanduser()
    if path.is_symlink():
        if not path.exists():
            raise ValueError(f"--output_dir {name}: is a link that leads nowhere; name another.")
        path = path.resolve()  # the link itself is the user's
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"--output_dir {name}: exists already and is not empty; name another.")
    place = next(parent for parent in path.absolute().parents if parent.exists())
    if not place.is_dir():
        raise ValueError(f"--output_dir {name}: {place} is a file, and no folder can be made in it.")
    if os.path.ismount(path):
        raise ValueError(f"--output_dir {name}: something is mounted there; name a folder in it.")
    try:
        try_folder(path)
    except OSError as error:
        raise ValueError(f"--output_dir {name}: no folder can be made there: {error.strerror}.") from error
    return path


def num_neurons(model) -> int:
    """Feed-forward neurons of the encoder of `model`."""
    from ...groups import find_groups

    return sum(group.num_units for group in find_groups(model, "encoder").values())


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
