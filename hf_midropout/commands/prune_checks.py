"""What is wrong with a `hf-midropout prune`, said before anything is measured."""

from __future__ import annotations

import os
from pathlib import Path

from ..choices import ENCODER_CRITERION_NAMES
from .classifier_checks import check_rows
from .prune_arguments import PruneArguments


FEWEST_ROWS = 100
DTYPES = ("auto", "float32", "float16", "bfloat16")


def check_arguments(args: PruneArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself."""
    if args.criterion not in ENCODER_CRITERION_NAMES:
        raise ValueError(f"--criterion {args.criterion}: must be one of {', '.join(ENCODER_CRITERION_NAMES)}.")
    if not 0 < args.keep < 1:
        what = "nothing" if args.keep >= 1 else "everything"
        raise ValueError(f"--keep {args.keep}: would drop {what}; must be in (0, 1).")
    if args.dtype not in DTYPES:
        raise ValueError(f"--dtype {args.dtype}: must be one of {', '.join(DTYPES)}.")
    if args.keep_layers is not None and args.keep_layers < 1:
        raise ValueError(f"--keep_layers {args.keep_layers}: would drop every layer; must be 1 or more.")
    if args.max_samples < FEWEST_ROWS:
        raise ValueError(f"--max_samples {args.max_samples}: must be {FEWEST_ROWS} rows or more to reconstruct from.")
    if args.max_eval_samples < 1:
        raise ValueError(f"--max_eval_samples {args.max_eval_samples}: must be 1 or more.")
    check_rows(args)
    path = Path(args.output_dir)
    if not args.output_dir.strip():
        raise ValueError("--output_dir: must name a folder.")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise ValueError(f"--output_dir {args.output_dir}: exists already and is not empty; name another.")
    parent = next(parent for parent in path.absolute().parents if parent.exists())
    if not os.access(parent, os.W_OK):
        raise ValueError(f"--output_dir {args.output_dir}: {parent} may not be written to.")


def check_problem_type(name: str, config) -> None:
    """`ValueError` for a model that does not tell one class from the others."""
    from ..scoring.problem_types import find_problem_type

    problem_type = find_problem_type(config)
    if problem_type != "single_label_classification":
        raise ValueError(
            f"--checkpoint {name}: it is for {problem_type!r}; must be a classifier with one class a row."
        )


def check_checkpoint(name: str, model) -> None:
    """`ValueError` for a classifier whose encoder cannot be pruned."""
    from ..groups import find_groups

    if getattr(model, "quantization_method", None) is not None or getattr(model, "is_quantized", False):
        raise ValueError(f"--checkpoint {name}: it is quantised; prune the model that it was made from.")
    try:
        find_groups(model, "encoder")
    except ValueError as error:
        raise ValueError(f"--checkpoint {name}: {error}") from None
