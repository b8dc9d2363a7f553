"""Runs a study: what is there already is left, and the rest is shared among processes."""

from __future__ import annotations

import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from .methods import METHODS, Setting
from .plan import Run, Suite, fingerprint, read_result, write_result
from .sources import Source, Trainings


FIRST_TUNING_SEED = 1_000


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
) -> int:
    """
    Args:
        runs (`Sequence[Run]`): What is to be there at the end.
        suite ([`Suite`]): The budget.
        folder (`Path`): The study's.
        sources (`dict[str, Source]`): What the runs of each dataset are made from.
        workers (`int`): Processes that share the work; 1 is this one.
        progress (`bool`, *optional*, defaults to `True`): Shows a progress bar with the time left.

    Returns:
        `int`: how many runs were made; the others were there.

    Raises:
        `RuntimeError`: at the end, if runs failed; the others have their results.
    """
    waiting = [run for run in runs if read_result(run.path(folder), _made_by(run, suite, sources)) is None]
    tasks = [(run, suite, folder, sources[run.dataset]) for run in waiting]
    failed: dict[Run, str] = {}
    # Runs that were there are no part of the bar: its time left goes by those that are made.
    with tqdm(
        total=round(sum(map(cost, waiting))), desc="Study", disable=not (progress and waiting),
        bar_format="{desc}: {percentage:3.0f}%|{bar}| {elapsed}, {remaining} left{postfix}",
    ) as bar:  # fmt: skip
        for number, (run, error) in enumerate(_made(tasks, min(workers, len(tasks))), 1):
            if error:
                failed[run] = error
            bar.set_postfix_str(f"{number} of {len(tasks)}: {run}")
            bar.update(round(cost(run)))
    if failed:
        run, error = next(iter(failed.items()))
        raise RuntimeError(f"{len(failed)} of {len(tasks)} runs failed, such as {run}: {error}")
    return len(tasks)


def _made(tasks: list[tuple], workers: int) -> Iterator[tuple[Run, str | None]]:
    """Makes runs; gives each when it is done, with what went wrong."""
    if workers <= 1:
        yield from map(_work, tasks)
        return
    threads = max(1, torch.get_num_threads() // workers)
    pool = ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start, initargs=(threads,))
    try:
        for future in as_completed([pool.submit(_work, task) for task in tasks]):
            yield future.result()
        pool.shutdown()
    finally:  # whoever stops does not wait for what is under way, which is whole or not there
        pool.shutdown(wait=False, cancel_futures=True)
        for child in active_children():
            child.terminate()


def cost(run: Run) -> float:
    """The time that a run takes, in units of its own: what the bar counts."""
    return {200: 1.0, 2000: 2.5}.get(run.size, 10.0)


def _made_by(run: Run, suite: Suite, sources: dict[str, Source]) -> dict[str, Any]:
    return fingerprint(METHODS[run.method], suite, sources[run.dataset].key)


def _start(threads: int) -> None:
    torch.set_num_threads(threads)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C reaches all processes: this one ends without a word


def _work(task: tuple[Run, Suite, Path, Source]) -> tuple[Run, str | None]:
    run, suite, folder, source = task
    try:
        result = run_one(run, suite, source.open())
    except (RuntimeError, ValueError) as error:
        return run, str(error)
    write_result(run.path(folder), _made_by(run, suite, {run.dataset: source}), result)
    return run, None
