"""What is wrong with a `hf-midropout evaluate`, said before anything is loaded or computed."""

from __future__ import annotations

import json
from pathlib import Path

from ..checkpoint.checks import check_label_names, check_rows, check_seed, check_split_name
from ..checkpoint.classifier import Classifier
from ..output.files import check_output_file, check_overwritten
from .arguments import DEFAULT_MARGIN, EvaluateArguments


KIND = "hf_midropout evaluation"
"""By this a file of the command is known."""


def check_arguments(args: EvaluateArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself."""
    check_split_name(args.split)
    if args.max_samples is not None and args.max_samples < 2:
        raise ValueError(f"--max_samples {args.max_samples}: must be 2 or more; leave it out for all rows.")
    check_seed(args.seed, 32)
    if not 0 < args.margin < 1:
        raise ValueError(f"--margin {args.margin}: must be in (0, 1), such as 0.01 for one point of accuracy.")
    if args.margin != DEFAULT_MARGIN and args.compare is None:
        raise ValueError(f"--margin {args.margin} has no effect without --compare.")
    check_rows(args)
    check_output_file("output", args.output, (".json",))
    check_overwritten("output", args.output, args.overwrite, is_evaluation, args.dataset)


def is_evaluation(path: Path) -> bool:
    """Whether a file was written by this command."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("kind") == KIND


def common_label_names(classifier: Classifier, other: Classifier | None) -> list[str]:
    """
    The classes of both; those with names, where the other has none.

    Raises:
        `ValueError`: if they are not the same.
    """
    names = classifier.label_names
    if other is None:
        return names
    others = other.label_names
    if all(name.startswith("LABEL_") for name in names) and len(names) == len(others):
        return others
    try:
        check_label_names(other.config.id2label, names)
    except ValueError as error:
        told = str(error).replace("The data has", "The checkpoint has").replace("The data's", "The checkpoint's")
        told = told.replace("in the data", "in the checkpoint").replace("the model", "the other")
        raise ValueError(f"--compare {other.name}: its classes are others. {told}") from None
    return names
