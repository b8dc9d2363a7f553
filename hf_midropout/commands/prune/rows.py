"""Which rows `hf-midropout prune` measures, searches and compares on: never the same ones for two of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...pruning.config_checks import FEWEST_ROWS
from .arguments import AUTO, PruneArguments


if TYPE_CHECKING:
    from datasets import Dataset

    from ...data.datasets import TextClassificationData


USES = {"compared": "compare on", "searched": "find the width on", "measured": "measure on"}


def held_out_split(data: TextClassificationData) -> str:
    """The split to compare networks on."""
    return "test" if "test" in data.splits else "validation"


def draw_rows(args: PruneArguments, data: TextClassificationData) -> dict[str, Dataset]:
    """
    Rows for each use, drawn at random; a note in `data` says how a split that serves several is parted.

    Raises:
        `ValueError`: for a `--split` that the data does not have, or a split with too few rows for its uses.
    """
    if args.split not in data.splits:
        raise ValueError(f"--split {args.split}: the data has {', '.join(data.splits)} only.")
    wanted = {"compared": (held_out_split(data), args.max_eval_samples)}
    if args.keep == AUTO:
        wanted["searched"] = ("validation", args.max_eval_samples)
    wanted["measured"] = (args.split, args.max_samples)
    drawn: dict[str, Dataset] = {}
    for split in dict.fromkeys(split for split, _ in wanted.values()):
        uses = {use: most for use, (of, most) in wanted.items() if of == split}
        rows = data.splits[split]
        counts = dealt(len(rows), uses)
        if len(uses) > 1:
            check_shared(args, split, len(rows), list(uses))
            parts = [
                f"{count:,} {'others' if place else 'rows'} to {USES[use]}"
                for place, (use, count) in enumerate(counts.items())
            ]
            data.notes.append(f"{split}: {', '.join(parts)}, drawn at random (seed {args.seed})")
        shuffled, start = rows.shuffle(seed=args.seed), 0
        for use, count in counts.items():
            drawn[use] = shuffled.select(range(start, start + count))
            start += count
    return drawn


def dealt(rows: int, uses: dict[str, int]) -> dict[str, int]:
    """How many of `rows` each use gets: as many as it asks for, and equal shares among those that ask for more."""
    counts: dict[str, int] = {}
    for place, use in enumerate(sorted(uses, key=lambda use: uses[use])):
        counts[use] = min(uses[use], (rows - sum(counts.values())) // (len(uses) - place))
    return {use: counts[use] for use in uses}


def check_shared(args: PruneArguments, split: str, rows: int, uses: list[str]) -> None:
    """`ValueError` for a split with too few rows to give each of several uses rows of its own."""
    fewest = FEWEST_ROWS * len(uses)
    if rows >= fewest:
        return
    measuring, searching = "measured" in uses, "searched" in uses
    options = [f"--split {args.split}"] * measuring + [f"--keep {AUTO}"] * searching
    others = ["another --split"] * measuring + ["a number for --keep"] * searching
    told = " and to ".join(USES[use] for use in uses)
    raise ValueError(
        f"{' and '.join(options)}: the {split} split has {rows:,} rows to {told}, which takes different rows: must be "
        f"{fewest:,} or more; or give {' or '.join(others)}."
    )
