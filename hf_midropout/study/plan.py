"""Which runs a study consists of, and what each of them has given already."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..utils.files import write_json
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
        tuning_seeds (`int`): Of each point of a grid, counted from 1,000 on.
        steps (`dict[int, int]`): Optimizer steps by training size.
        batch_sizes (`dict[int, int]`): Rows of a step by training size.
        max_length (`int`): Tokens of a text.
        max_test_samples (`int`): The most rows of validation and test splits, drawn at random once.
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

    def schedule(self, size: int, available: int) -> Schedule:
        """
        Raises:
            `ValueError`: if there are fewer rows than `size`.
        """
        if size > available:
            raise ValueError(f"size {size}: the training split has {available} rows.")
        nearest = min(self.steps, key=lambda known: (abs(known - size), known)) if size not in self.steps else size
        return Schedule(size or available, self.steps[nearest], self.batch_sizes[nearest])


SUITES = {
    "paper": Suite("paper"),
    "quick": Suite(
        "quick", sizes=(200,), seeds=5, tuning_seeds=1, steps={200: 100}, batch_sizes={200: 32}, max_test_samples=1000
    ),
}
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
        return str(self.size) if self.size else "all"

    def path(self, folder: Path) -> Path:
        """The file of its result in a study's folder."""
        return folder / "runs" / self.dataset / self.rows / f"{self.method}.json"

    def __str__(self) -> str:
        return f"{self.dataset}, {self.rows} rows, {METHODS[self.method].label}"


def plan(datasets: Sequence[str], sizes: Sequence[int], methods: Sequence[str]) -> list[Run]:
    """All runs, small ones first, so that every table fills early."""
    ordered = sorted(sizes, key=lambda size: size or float("inf"))
    return [Run(dataset, size, method) for size in ordered for dataset in datasets for method in methods]


def fingerprint(method: Method, suite: Suite, features: str) -> dict[str, Any]:
    """What a result depends on: one that was made otherwise is made again."""
    budget = {key: value for key, value in asdict(suite).items() if key not in ("name", "datasets", "sizes")}
    return json.loads(json.dumps({"format": FORMAT, "method": asdict(method), "budget": budget, "features": features}))


def read_result(path: Path, expected: dict[str, Any]) -> dict[str, Any] | None:
    """What a run wrote; `None` if there is nothing, or nothing that was made like this."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and content.get("made_by") == expected else None


def write_result(path: Path, made_by: dict[str, Any], content: dict[str, Any]) -> None:
    """Atomically."""
    write_json(path, {"made_by": made_by, **content})


def finished(folder: Path, runs: Sequence[Run]) -> Iterator[tuple[Run, dict[str, Any]]]:
    """The runs that have a result, with it."""
    for run in runs:
        path = run.path(folder)
        if path.exists():
            yield run, json.loads(path.read_text(encoding="utf-8"))
