"""Runs a study: what is there already is left, and the rest is shared among processes."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from ..utils import interruption
from .methods import METHODS, Setting
from .plan import ALL_ROWS, Run, Suite, fingerprints, nearest
from .results import read_result, write_result
from .sources import Source, Trainings


FIRST_TUNING_SEED = 1_000
COSTS = {200: 1.0, 2000: 2.5, ALL_ROWS: 10.0}
"""The time that a run takes by training size, in units of its own."""


def run_one(run: Run, suite: Suite, trainings: Trainings) -> dict[str, Any]:
    """
    Chooses a point of the method's grid by the mean accuracy, then the loss, on validation rows, of seeds that are not
    compared, and trains with it; test rows are looked at once, at the end of that.
    """
    method, started = METHODS[run.method], time.perf_counter()
    schedule = suite.schedule(run.size, trainings.rows["train"])
    seeds = [FIRST_TUNING_SEED + number for number in range(suite.tuning_seeds)]
    grid: list[tuple[Setting, float, float]] = []
    for setting in method.settings(suite.learning_rate_factor) if seeds else ():
        last = [outcome.curve[-1] for outcome in trainings.train(method, setting, schedule, seeds, False)]
        accuracy, loss = (statistics.fmean(each[key] for each in last) for key in ("accuracy", "loss"))
        grid.append((setting, accuracy, loss))
    chosen = method.middle(suite.learning_rate_factor)
    if grid:
        chosen = max(grid, key=lambda each: (each[1], -each[2]))[0]
    outcomes = trainings.train(method, chosen, schedule, range(suite.seeds), True)
    return {
        "setting": {"learning_rate": chosen.learning_rate, "value": chosen.value},
        "grid": [
            {"learning_rate": each.learning_rate, "value": each.value, "accuracy": accuracy, "loss": loss}
            for each, accuracy, loss in grid
        ],
        "seeds": [outcome.to_dict() for outcome in outcomes],
        "rows": trainings.rows | {"train": schedule.rows},
        "seconds": time.perf_counter() - started,
    }


def run_all(
    runs: Sequence[Run], suite: Suite, folder: Path, sources: dict[str, Source], workers: int, progress: bool = True
) -> dict[Run, str | None]:
    """
    Args:
        runs (`Sequence[Run]`): What is to be there at the end.
        suite ([`Suite`]): The budget.
        folder (`Path`): The study's.
        sources (`dict[str, Source]`): What the runs of each dataset are made from.
        workers (`int`): Processes that share the work; 1 is this one.
        progress (`bool`, *optional*, defaults to `True`): Shows a progress bar with the time left.

    Returns:
        `dict[Run, str | None]`: the runs that were not there; of those that failed, with the reason.
    """
    interruption.check()
    expected = fingerprints(runs, suite, {name: source.key for name, source in sources.items()})
    waiting = [run for run in runs if read_result(run.path(folder), expected[run]) is None]
    tasks = [(run, suite, folder, sources[run.dataset], expected[run]) for run in waiting]
    made: dict[Run, str | None] = {}
    # Runs that were there are no part of the bar: its time left goes by those that are made.
    with tqdm(
        total=sum(map(cost, waiting)), desc="Study", disable=not (progress and waiting),
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
    ) as bar:  # fmt: skip
        for run, error in _made(tasks, min(workers, len(tasks))):
            interruption.check()
            made[run] = error
            bar.set_postfix_str(f"{len(made)} of {len(tasks)}: {run}")
            bar.update(cost(run))
    return made


def _made(tasks: list[tuple], workers: int) -> Iterator[tuple[Run, str | None]]:
    """Makes runs; gives each when it is done, with what went wrong."""
    if workers <= 1:
        yield from map(_work, tasks)
        return
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(threads,))
    try:
        runs = {pool.submit(_work, task): task[0] for task in tasks}
        for future in as_completed(runs):
            try:
                yield future.result()
            except BrokenProcessPool:  # all that were waiting fail with it
                yield (
                    runs[future],
                    "a process that made runs was killed, as happens without memory; try fewer workers.",
                )
        pool.shutdown()
    finally:  # whoever stops does not wait for what is under way, which is whole or not there
        pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            child.terminate()


def cost(run: Run) -> float:
    """What the bar counts for a run."""
    return COSTS[nearest(run.size, COSTS)]


def _start(threads: int) -> None:
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes: this one ends without a word
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A parent that is killed cannot end its workers, which would go on for good."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: tuple[Run, Suite, Path, Source, dict[str, Any]]) -> tuple[Run, str | None]:
    run, suite, folder, source, made_by = task
    try:
        write_result(run.path(folder), made_by, run_one(run, suite, source.open()))
    except (RuntimeError, ValueError) as error:
        return run, str(error) or type(error).__name__
    except Exception as error:  # no run ends the others; a reason like "'loss'" says little without its type
        return run, f"{type(error).__name__}: {error}"
    return run, None
