"""What is wrong with a `hf-midropout score` is said before anything is loaded or computed, as far as it can be."""

from __future__ import annotations

import json
from pathlib import Path

from ..checkpoint.checks import check_rows, check_seed, check_split_name, skeleton_of, tokens_to_cut_to
from ..options.names import options_named
from ..output.files import check_output_file
from .arguments import ScoreArguments


def check_arguments(args: ScoreArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself."""
    check_split_name(args.split)
    if args.max_samples < 0 or args.max_samples == 1:
        raise ValueError(f"--max_samples {args.max_samples}: must be 2 or more, or 0 for all rows.")
    check_seed(args.seed)
    check_rows(args)
    check_output_file("output", args.output, (".json",))
    check_output_file("figure", args.figure, (".png",))
    if args.output and Path(args.output).is_file() and not holds_scores(Path(args.output)):
        raise ValueError(f"--output {args.output}: this file exists and holds no scores; name another.")


def holds_scores(path: Path) -> bool:
    """Whether a file is empty or was written by this command."""
    try:
        content = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and (not content or {"problem_type", "layers", "num_samples"} <= content.keys())


def check_skeleton(args: ScoreArguments, config, folder: Path) -> int:
    """
    Checks what depends on the model's shape, on a model without weights.

    Returns:
        `int`: the number of tokens to cut texts to.

    Raises:
        `ValueError`: for `--targets` or `--layers` that the model has none of, and more tokens than it has positions
            for.
    """
    from ...scoring.taps import Taps

    skeleton = skeleton_of(config, args.trust_remote_code)
    with options_named(type(args)):
        Taps(skeleton, args.layers, args.targets)
    return tokens_to_cut_to(args.max_length, skeleton, folder)
