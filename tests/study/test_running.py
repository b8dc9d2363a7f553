"""Runs are made once, whole, by whoever comes first; a stop loses those under way."""

import io
import json
import multiprocessing
import os
import signal
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace

import pytest
from safetensors.torch import save_file

from hf_midropout.study import running, sources
from hf_midropout.study.methods import METHODS
from hf_midropout.study.plan import ALL_ROWS, SUITES, Run, fingerprints, plan
from hf_midropout.study.results import finished
from hf_midropout.study.running import run_all, run_one
from hf_midropout.study.sources import FrozenEncoder, HeadTrainings
from hf_midropout.utils import interruption


OUTCOME = {"seed": 0, "curve": [], "test": {}, "bits": {}}
RESULT = {"setting": {}, "grid": [], "rows": {}, "seeds": [OUTCOME]}
SUITE = replace(SUITES["quick"], sizes=(40,), seeds=2, tuning_seeds=1, steps={40: 4}, batch_sizes={40: 8})


@pytest.fixture
def file(study_features, tmp_path):
    path = tmp_path / "features" / "0123456789abcdef.safetensors"
    path.parent.mkdir()
    tensors = {}
    for name in ("train", "validation", "test"):
        rows = getattr(study_features, name)
        tensors |= {f"{name}.features": rows.hidden_states, f"{name}.labels": rows.labels}
    save_file(tensors, path)
    return path


def test_a_run_ends_on_test_rows_once(study_features, monkeypatch):
    tested = []
    train_heads = sources.train_heads

    def watched(method, setting, schedule, seeds, train, validation, test=None, measure_bits=False):
        tested.append((setting, list(seeds), test is not None))
        return train_heads(method, setting, schedule, seeds, train, validation, test, measure_bits)

    monkeypatch.setattr(sources, "train_heads", watched)
    result = run_one(Run("made_up", 40, "dropout"), SUITE, HeadTrainings(study_features))
    settings = list(METHODS["dropout"].settings())
    assert tested[:-1] == [(setting, [1000], False) for setting in settings]
    chosen, seeds, on_test = tested[-1]
    assert seeds == [0, 1] and on_test
    assert (chosen.learning_rate, chosen.value) == tuple(result["setting"].values())
    best = max(result["grid"], key=lambda each: (each["accuracy"], -each["loss"]))
    assert best["learning_rate"] == chosen.learning_rate and best["value"] == chosen.value
    assert [outcome["seed"] for outcome in result["seeds"]] == [0, 1]
    assert result["rows"] == {"train": 40, "validation": 60, "test": 80}


def made(tmp_path, file, runs, suite=SUITE, **options):
    options = {"workers": 1, "progress": False} | options
    return run_all(runs, suite, tmp_path, {"made_up": FrozenEncoder(file)}, **options)


def test_what_is_there_is_left(file, tmp_path, monkeypatch, caplog):
    runs = plan(["made_up"], [40], ["none", "mi_prune", "dropout"])
    calls = []
    monkeypatch.setattr(running, "run_one", lambda run, *rest: calls.append(run.method) or RESULT)
    assert made(tmp_path, file, runs[:2]) == dict.fromkeys(runs[:2])
    before = {run: run.path(tmp_path).read_bytes() for run in runs[:2]}
    assert made(tmp_path, file, runs) == {runs[2]: None}
    assert calls == ["none", "mi_prune", "dropout"]
    assert {run: run.path(tmp_path).read_bytes() for run in runs[:2]} == before
    expected = fingerprints(runs, SUITE, {"made_up": file.stem})
    assert [run for run, _ in finished(tmp_path, expected)] == runs
    # another budget, other features
    others = fingerprints(runs, replace(SUITE, seeds=3), {"made_up": file.stem})
    assert list(finished(tmp_path, others)) == [] and not caplog.messages
    assert len(made(tmp_path, file, runs, replace(SUITE, seeds=3))) == 3
    other = file.rename(file.with_name("fedcba9876543210.safetensors"))
    assert len(made(tmp_path, other, runs[:1], replace(SUITE, seeds=3))) == 1


def test_a_damaged_result_is_made_again(file, tmp_path, monkeypatch, caplog):
    (run,) = runs = plan(["made_up"], [40], ["none"])
    monkeypatch.setattr(running, "run_one", lambda *_: RESULT)
    made(tmp_path, file, runs)
    path, whole = run.path(tmp_path), run.path(tmp_path).read_bytes()
    content = json.loads(whole)
    for damaged in (whole[:100], b"[]", *(json.dumps({**content, "seeds": seeds}).encode() for seeds in ([], None))):
        path.write_bytes(damaged)
        caplog.clear()
        assert made(tmp_path, file, runs) == {run: None} and path.read_bytes() == whole
        assert caplog.messages == [f"{path} cannot be read; it is made again."]


def test_a_signal_that_was_swallowed_ends_the_runs(file, tmp_path, monkeypatch):
    runs = plan(["made_up"], [40], ["none", "dropout"])
    monkeypatch.setattr(interruption, "_received", [])
    monkeypatch.setattr(running, "run_one", lambda *_: interruption.note(signal.SIGINT) or RESULT)
    with pytest.raises(KeyboardInterrupt):
        made(tmp_path, file, runs)
    assert runs[0].path(tmp_path).exists() and not runs[1].path(tmp_path).exists()


def test_a_stop_leaves_what_is_whole(file, tmp_path, monkeypatch):
    runs = plan(["made_up"], [40], ["none", "dropout"])

    def stopped(run, *rest):
        if run.method == "dropout":
            raise KeyboardInterrupt
        return run_one(run, *rest)

    monkeypatch.setattr(running, "run_one", stopped)
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, SUITE, tmp_path, {"made_up": FrozenEncoder(file)}, workers=1, progress=False)
    assert [path.name for path in (tmp_path / "runs").rglob("*.json")] == ["none.json"]


def test_a_failed_run_does_not_end_the_others(file, tmp_path, monkeypatch):
    runs = plan(["made_up"], [40], ["none", "dropout"])

    def failing(run, *rest):
        if run.method == "none":
            raise ValueError("layer 1 gave NaN.")
        return run_one(run, *rest)

    monkeypatch.setattr(running, "run_one", failing)
    assert made(tmp_path, file, runs) == {runs[0]: "layer 1 gave NaN.", runs[1]: None}
    assert runs[1].path(tmp_path).exists() and not runs[0].path(tmp_path).exists()


def test_a_worker_that_is_killed_fails_its_runs(monkeypatch):
    class Pool:
        def __init__(self, *_, **__):
            pass

        def submit(self, *_):
            failed = Future()
            failed.set_exception(BrokenProcessPool())
            return failed

        shutdown = __init__

    monkeypatch.setattr(running, "ProcessPoolExecutor", Pool)
    (told,) = running._made([("a run",)], workers=2)
    assert told[0] == "a run" and "was killed" in told[1]


def test_the_bar_counts_all_of_a_run(file, tmp_path, monkeypatch):
    bars = []

    class Bar(running.tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs, file=io.StringIO())
            bars.append(self)

    monkeypatch.setattr(running, "tqdm", Bar)
    monkeypatch.setattr(running, "run_one", lambda *_: RESULT)
    made(tmp_path, file, plan(["made_up"], [2000], ["none", "dropout", "mi_prune"]), progress=True)
    assert bars[0].n == bars[0].total == 7.5


@pytest.mark.parametrize(
    ("size", "budget", "cost"),
    [(20, 200, 1), (100, 200, 1), (200, 200, 1), (5000, 2000, 2.5), (90_000, 2000, 2.5), (ALL_ROWS, ALL_ROWS, 10)],
)
def test_a_size_gets_the_budget_of_the_nearest(size, budget, cost):
    suite = SUITES["paper"]
    schedule = suite.schedule(size, 100_000)
    assert (schedule.steps, schedule.batch_size) == (suite.steps[budget], suite.batch_sizes[budget])
    assert schedule.rows == (size or 100_000) and running.cost(Run("made_up", size, "none")) == cost


def _parent(pipe):
    child = multiprocessing.get_context("fork").Process(target=_child)
    child.start()
    pipe.send(child.pid)
    time.sleep(60)


def _child():
    running._start(1)
    time.sleep(60)


def test_a_worker_ends_with_its_parent():
    fork = multiprocessing.get_context("fork")
    ours, theirs = fork.Pipe()
    parent = fork.Process(target=_parent, args=(theirs,))
    parent.start()
    worker = ours.recv()
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    assert _ends(worker)


def _ends(pid: int) -> bool:
    """Within ten seconds. What nobody waits for may stay as a zombie."""
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(") ")[2][0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.slow
def test_several_processes_give_the_same(file, tmp_path):
    runs = plan(["made_up"], [40], ["none", "mi_prune", "dropout", "drop_mi"])
    for workers in (1, 2):
        run_all(
            runs, SUITE, tmp_path / str(workers), {"made_up": FrozenEncoder(file)}, workers=workers, progress=False
        )
    for run in runs:
        one, two = (json.loads(run.path(tmp_path / str(workers)).read_text()) for workers in (1, 2))
        assert one["seeds"] == two["seeds"] and one["setting"] == two["setting"]


def test_small_sizes_come_first():
    runs = plan(["a", "b"], [0, 200], ["none"])
    assert [(run.dataset, run.rows) for run in runs] == [("a", "200"), ("b", "200"), ("a", "all"), ("b", "all")]


def test_without_seeds_to_choose_by_it_is_the_middle_of_the_grid(study_features):
    suite = replace(SUITE, tuning_seeds=0, learning_rate_factor=0.1)
    result = run_one(Run("made_up", 40, "dropout"), suite, HeadTrainings(study_features))
    assert result["grid"] == [] and result["setting"] == {"learning_rate": pytest.approx(1e-4), "value": 0.3}
