"""What is wrong with a `hf-midropout predict`, said before anything is loaded or computed."""

from __future__ import annotations

import sys

from ..checkpoint.checks import check_rows, check_split_name
from ..output.files import check_output_file, check_overwritten
from .arguments import PredictArguments


READING = ("dataset_config", "text_column", "label_column", "delimiter", "encoding", "column_names", "split")
"""Options that say how a dataset is read."""


def check_arguments(args: PredictArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself, or beside others."""
    check_split_name(args.split)
    check_rows(args)
    if args.dataset is not None and args.text is not None:
        raise ValueError("--dataset and --text: give one of the two.")
    if args.dataset is None:
        given = next((name for name in READING if getattr(args, name) is not None), None)
        if given is not None:
            raise ValueError(f"--{given} has no effect without --dataset.")
    if args.text_pair is not None:
        if args.text is None:
            raise ValueError("--text_pair: needs --text, which has the first text of each pair.")
        if len(args.text) != len(args.text_pair):
            raise ValueError(
                f"--text has {len(args.text):,} texts and --text_pair {len(args.text_pair):,}: must be as many."
            )
    for name in ("text", "text_pair"):
        if any(not text.strip() for text in getattr(args, name) or []):
            raise ValueError(f"--{name}: one of the texts is empty.")
    if args.dataset is None and args.text is None and (sys.stdin is None or sys.stdin.isatty()):
        raise ValueError('No texts: give --text "...", --dataset, or one text a line on the standard input.')
    check_output_file("output", args.output, (".jsonl", ".csv"))
    check_overwritten("output", args.output, args.overwrite, lambda _: False, args.dataset)
