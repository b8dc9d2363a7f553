"""Runs a study: what is there already is left, and the rest is shared among processes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from .features import Features, load_features
from .methods import METHODS, Setting
from .plan import Run, Suite, fingerprint, read_result, write_result
from .training import train_heads


FIRST_TUNING_SEED = 1_000


def run_one(run: Run, suite: Suite, features: Features) -> dict[str, Any]:
    """
    Chooses a point of the method's grid by the mean accuracy, then the loss, on validation rows, of seeds that are not
    compared, and trains with it; test rows are looked at once, at the end of that.
    """
    method, started = METHODS[run.method], time.perf_counter()
    schedule = suite.schedule(run.size, len(features.train.labels))
    seeds = [FIRST_TUNING_SEED + number for number in range(suite.tuning_seeds)]
    grid: list[tuple[Setting, float, float]] = []
    for setting in method.settings():
        last = [
            outcome.curve[-1]
            for outcome in train_heads(method, setting, schedule, seeds, features.train, features.validation)
        ]
        accuracy, loss = (statistics.fmean(each[key] for each in last) for key in ("accuracy", "loss"))
        grid.append((setting, accuracy, loss))
    chosen = max(grid, key=lambda each: (each[1], -each[2]))[0]
    outcomes = train_heads(
        method, chosen, schedule, range(suite.seeds), features.train, features.validation, features.test, True
    )
    return {
        "setting": {"learning_rate": chosen.learning_rate, "value": chosen.value},
        "grid": [
            {"learning_rate": each.learning_rate, "value": each.value, "accuracy": accuracy, "loss": loss}
            for each, accuracy, loss in grid
        ],
        "seeds": [outcome.to_dict() for outcome in outcomes],
        "rows": {
            "train": schedule.rows,
            "validation": len(features.validation.labels),
            "test": len(features.test.labels),
        },
        "seconds": time.perf_counter() - started,
    }


def run_all(
    runs: Sequence[Run],
    suite: Suite,
    folder: Path,
    features: dict[str, Path],
    workers: int,
    progress: bool = True,
    done: Callable[[Run], None] | None = None,
) -> int:
    """
    Args:
        runs (`Sequence[Run]`): What is to be there at the end.
        suite ([`Suite`]): The budget.
        folder (`Path`): The study's.
        features (`dict[str, Path]`): The file of each dataset's features.
        workers (`int`): Processes that share the work.
        progress (`bool`, *optional*, defaults to `True`): Shows a progress bar with the time left.
        done (`Callable`, *optional*): Called after each run that was made.

    Returns:
        `int`: how many runs were made; the others were there.
    """
    waiting = [run for run in runs if read_result(run.path(folder), _made_by(run, suite, features)) is None]
    work = {run: cost(run) for run in runs}
    bar = tqdm(total=round(sum(work.values())), desc="Study", disable=not progress,
               bar_format="{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}] {postfix}")  # fmt: skip
    bar.update(round(sum(work[run] for run in runs if run not in waiting)))
    bar.initial = bar.n
    if waiting:
        threads = max(1, torch.get_num_threads() // workers)
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(threads,)) as pool:
            pending = {pool.submit(_work, run, suite, folder, features): run for run in waiting}
            try:
                while pending:
                    finished, _ = wait(pending, return_when=FIRST_COMPLETED)
                    for future in finished:
                        run = pending.pop(future)
                        future.result()
                        bar.set_postfix_str(f"{run} ({len(runs) - len(pending)}/{len(runs)})")
                        bar.update(round(work[run]))
                        if done:
                            done(run)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    bar.close()
    return len(waiting)


def cost(run: Run) -> float:
    """The time that a run takes, in units of its own: what the bar counts."""
    return {200: 1.0, 2000: 2.5}.get(run.size, 10.0)


def _made_by(run: Run, suite: Suite, features: dict[str, Path]) -> dict[str, Any]:
    return fingerprint(METHODS[run.method], suite, features[run.dataset].stem)


def _start(threads: int) -> None:
    torch.set_num_threads(threads)


def _work(run: Run, suite: Suite, folder: Path, features: dict[str, Path]) -> None:
    made_by = _made_by(run, suite, features)
    write_result(run.path(folder), made_by, run_one(run, suite, load_features(features[run.dataset])))
