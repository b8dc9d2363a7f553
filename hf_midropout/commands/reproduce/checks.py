"""What is wrong with a `hf-midropout reproduce` is said before anything is loaded or computed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...choices import FEWEST_TOKENS
from .arguments import ReproduceArguments


if TYPE_CHECKING:
    from ...study.plan import Run


MOST_SEEDS = 999
OWN_OPTIONS = ("seeds", "tuning_seeds", "max_length")
"""Fields of a budget that have an option of their own."""


def check_arguments(args: ReproduceArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself."""
    from ...study.methods import METHODS
    from ...study.plan import SUITES

    if args.suite not in SUITES:
        raise ValueError(f"--suite {args.suite}: must be one of {', '.join(SUITES)}.")
    unknown = sorted(set(args.method or ()) - METHODS.keys())
    if unknown:
        raise ValueError(f"--method {', '.join(unknown)}: must be among {', '.join(METHODS)}.")
    if args.seeds is not None and not 2 <= args.seeds <= MOST_SEEDS:
        raise ValueError(f"--seeds {args.seeds}: must be 2 to {MOST_SEEDS}; differences of one seed have no interval.")
    if args.tuning_seeds is not None and not 0 <= args.tuning_seeds <= MOST_SEEDS:
        raise ValueError(f"--tuning_seeds {args.tuning_seeds}: must be 0 to {MOST_SEEDS}.")
    if args.workers is not None and args.workers < 1:
        raise ValueError(f"--workers {args.workers}: must be 1 or more.")
    if args.max_length is not None and args.max_length < FEWEST_TOKENS:
        raise ValueError(f"--max_length {args.max_length}: must be {FEWEST_TOKENS} or more.")
    for size in args.size or ():
        if size < 0 or 0 < size < 20:
            raise ValueError(f"--size {size}: must be 20 rows or more, or 0 for all.")
    for option in ("dataset", "method", "size"):
        values = getattr(args, option) or []
        named = [short_name(value) if option == "dataset" else value for value in values]
        twice = [name for name, times in Counter(named).items() if times > 1]
        if twice:
            raise ValueError(f"--{option} {twice[0]}: comes {named.count(twice[0])} times; results are kept by name.")


def short_name(name: str) -> str:
    """Of a dataset or model, a folder or an id on the Hub: what tables call it and results are kept by."""
    return os.path.basename(os.path.abspath(name))


def check_finished(folder: Path, expected: Mapping[Run, dict[str, Any]]) -> None:
    """
    `ValueError` if runs that are finished were made with other options: they would be replaced.

    Args:
        folder (`Path`): The study's.
        expected (`Mapping[Run, dict]`): The runs that are asked for, with their fingerprints.
    """
    from ...study.results import made_otherwise

    others = made_otherwise(folder, expected)
    if others:
        run, made_by = next(iter(others.items()))
        count = "1 finished run was" if len(others) == 1 else f"{len(others)} finished runs were"
        raise ValueError(
            f"--output_dir {folder}: {count} made with other options ({_others(made_by, expected[run])}), and "
            "would be replaced: give those options, or name another folder."
        )


def _others(made_by: dict[str, Any], expected: dict[str, Any]) -> str:
    """The options that a run was made with, as far as its fingerprint tells them, where they are others."""
    from ...study.plan import SUITES

    if any(made_by.get(key) != expected[key] for key in ("format", "method")):
        return "those of another version of this package"
    budget, told = made_by.get("budget", {}), []
    usual = expected["budget"]
    fixed = [key for key in usual if key not in OWN_OPTIONS]
    if any(budget.get(key) != usual[key] for key in fixed):
        budgets = {name: json.loads(json.dumps(asdict(each))) for name, each in SUITES.items()}
        alike = [name for name, each in budgets.items() if all(each[key] == budget.get(key) for key in fixed)]
        told.append(f"--suite {alike[0]}" if alike else "those of another suite")
        usual = budgets[alike[0]] if alike else usual
    told += [f"--{key} {budget.get(key)}" for key in OWN_OPTIONS if budget.get(key) != usual[key]]
    return " ".join(told) or "another encoder or other texts"
