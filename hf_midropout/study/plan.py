"""Which runs a study consists of, and what each of them depends on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .methods import METHODS, Method
from .schedule import Schedule


ALL_ROWS = 0
"""The training size that stands for all rows."""

FORMAT = 2


@dataclass(frozen=True)
class Suite:
    """
    A study's budget: what is the same for every method.

    Args:
        name (`str`): By which it is asked for.
        datasets (`tuple[str, ...]`): Ids on the Hub, or folders.
        sizes (`tuple[int, ...]`): Training rows; 0 for all.
        seeds (`int`): Of the runs that are compared, from 0 on.
        tuning_seeds (`int`): Of each point of a grid, counted from 1,000 on; 0 for no choice, but the grid's middle.
        steps (`dict[int, int]`): Optimizer steps by training size.
        batch_sizes (`dict[int, int]`): Rows of a step by training size.
        max_length (`int`): Tokens of a text.
        max_test_samples (`int`): The most rows of validation and test splits, drawn at random once.
        fine_tuned (`bool`): Whether the encoder is trained too, and not frozen.
        methods (`tuple[str, ...]`): Keys of `METHODS`; all, if there are none.
        learning_rate_factor (`float`): On the learning rates of the grids, which are for heads.
        evaluations (`int`): Of validation rows in a training.
    """

    name: str
    datasets: tuple[str, ...] = ("fancyzhx/ag_news", "stanfordnlp/imdb", "fancyzhx/yelp_polarity")
    sizes: tuple[int, ...] = (200, 2000, ALL_ROWS)
    seeds: int = 10
    tuning_seeds: int = 2
    steps: dict[int, int] = field(default_factory=lambda: {200: 200, 2000: 400, ALL_ROWS: 600})
    batch_sizes: dict[int, int] = field(default_factory=lambda: {200: 32, 2000: 32, ALL_ROWS: 128})
    max_length: int = 128
    max_test_samples: int = 10_000
    fine_tuned: bool = False
    methods: tuple[str, ...] = ()
    learning_rate_factor: float = 1.0
    evaluations: int = 10

    def schedule(self, size: int, available: int) -> Schedule:
        """
        Raises:
            `ValueError`: if there are fewer rows than `size`.
        """
        if size > available:
            raise ValueError(f"size {size}: the training split has {available} rows.")
        steps, batch_size = self.budget(size)
        return Schedule(size or available, steps, batch_size, self.evaluations)

    def budget(self, size: int) -> tuple[int, int]:
        """Optimizer steps for a training size, and rows of a step."""
        known = nearest(size, self.steps)
        return self.steps[known], self.batch_sizes[known]


def rows_label(size: int) -> str:
    """A training size as tables have it."""
    return str(size) if size else "all"


def rows_order(size: int | str) -> float:
    """By which training sizes are sorted, numbers or as tables have them: all rows are more than any number."""
    return float("inf") if size in (ALL_ROWS, rows_label(ALL_ROWS)) else float(size)


def nearest(size: int, known: Collection[int]) -> int:
    """The one of the `known` training sizes whose budget `size` gets."""
    if size in known:
        return size
    return min(known, key=lambda each: (abs(rows_order(each) - rows_order(size)), each))


SUITES = {
    "paper": Suite("paper"),
    "quick": Suite(
        "quick", sizes=(200,), seeds=5, tuning_seeds=1, steps={200: 100}, batch_sizes={200: 32}, max_test_samples=1000
    ),
    "finetuned": Suite(
        "finetuned",
        sizes=(200, 2000),
        seeds=3,
        tuning_seeds=0,
        steps={200: 130, 2000: 250, ALL_ROWS: 1000},
        batch_sizes={200: 16, 2000: 16, ALL_ROWS: 32},
        max_test_samples=2000,
        fine_tuned=True,
        methods=(
            "none", "rewound", "dropout", "multi_sample", "mi_prune", "mi_reinitialize", "mi_refit", "random_prune",
            "random_reinitialize", "random_refit", "magnitude_prune",
        ),
        learning_rate_factor=0.1,
        evaluations=5,
    ),
}  # fmt: skip
"""By name."""


@dataclass(frozen=True)
class Run:
    """
    One method on one dataset at one size, all its seeds at once: what is done whole or not at all.

    Args:
        dataset (`str`): Its name, as in tables.
        size (`int`): Training rows; 0 for all.
        method (`str`): A key of `METHODS`.
    """

    dataset: str
    size: int
    method: str

    @property
    def rows(self) -> str:
        """As tables have it."""
        return rows_label(self.size)

    def path(self, folder: Path) -> Path:
        """The file of its result in a study's folder."""
        return folder / "runs" / self.dataset / self.rows / f"{self.method}.json"

    def __str__(self) -> str:
        return f"{self.dataset}, {self.rows} rows, {METHODS[self.method].label}"


def plan(datasets: Sequence[str], sizes: Sequence[int], methods: Sequence[str]) -> list[Run]:
    """All runs, small ones first, so that every table fills early."""
    return [
        Run(dataset, size, method)
        for size in sorted(sizes, key=rows_order)
        for dataset in datasets
        for method in methods
    ]


def fingerprint(method: Method, suite: Suite, source: str) -> dict[str, Any]:
    """What a result depends on: one that was made otherwise is made again."""
    names = ["seeds", "tuning_seeds", "steps", "batch_sizes", "max_length", "max_test_samples"]
    if suite.fine_tuned:
        names += ["learning_rate_factor", "evaluations"]
    budget = {name: getattr(suite, name) for name in names}
    return json.loads(json.dumps({"format": FORMAT, "method": asdict(method), "budget": budget, "features": source}))


def fingerprints(runs: Sequence[Run], suite: Suite, keys: Mapping[str, str]) -> dict[Run, dict[str, Any]]:
    """
    Args:
        runs (`Sequence[Run]`): Of a study.
        suite ([`Suite`]): The budget.
        keys (`Mapping[str, str]`): The `Source.key` of each dataset.
    """
    return {run: fingerprint(METHODS[run.method], suite, keys[run.dataset]) for run in runs}
