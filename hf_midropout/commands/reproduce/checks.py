"""What is wrong with a `hf-midropout reproduce` is said before anything is loaded or computed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from ...choices import FEWEST_TOKENS
from .arguments import ReproduceArguments


MARK = ".midropout_study"
"""The file that tells a study's folder."""

MOST_SEEDS = 999


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
        named = [Path(value).name if option == "dataset" else value for value in values]
        twice = [name for name, times in Counter(named).items() if times > 1]
        if twice:
            raise ValueError(f"--{option} {twice[0]}: comes {named.count(twice[0])} times; results are kept by name.")


def mark(fine_tuned: bool) -> str:
    """What is in a study's `MARK`: results of one regime are not mixed with the other's."""
    return "fine-tuned\n" if fine_tuned else ""


def check_output_folder(folder: Path, fine_tuned: bool = False) -> None:
    """`ValueError` if there is something in the folder that no such study wrote: results would be mixed with it."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ValueError(f"--output_dir {folder}: must be a folder, and no link.")
    if folder.is_dir() and not (folder / MARK).is_file() and any(folder.iterdir()):
        other = min(path.name for path in folder.iterdir())
        raise ValueError(f"--output_dir {folder}: holds {other}, and no study; name another folder.")
    if (folder / MARK).is_file() and (folder / MARK).read_text(encoding="utf-8") != mark(fine_tuned):
        there = "frozen" if fine_tuned else "fine-tuned"
        raise ValueError(f"--output_dir {folder}: holds a study with a {there} encoder; name another folder.")
