"""Runs are made once, whole, by whoever comes first; a stop loses those under way."""

import json
from dataclasses import replace

import pytest
from safetensors.torch import save_file

from hf_midropout.study import running, sources
from hf_midropout.study.methods import METHODS
from hf_midropout.study.plan import SUITES, Run, finished, plan
from hf_midropout.study.running import run_all, run_one
from hf_midropout.study.sources import FrozenEncoder, HeadTrainings


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


def test_what_is_there_is_left(file, tmp_path, monkeypatch):
    runs = plan(["made_up"], [40], ["none", "mi_prune", "dropout"])
    made = []
    monkeypatch.setattr(running, "run_one", lambda run, *rest: made.append(run.method) or {"seeds": []})
    features = {"made_up": FrozenEncoder(file)}
    assert run_all(runs[:2], SUITE, tmp_path, features, workers=1, progress=False) == 2
    before = {run: run.path(tmp_path).read_bytes() for run in runs[:2]}
    assert run_all(runs, SUITE, tmp_path, features, workers=1, progress=False) == 1
    assert made == ["none", "mi_prune", "dropout"]
    assert {run: run.path(tmp_path).read_bytes() for run in runs[:2]} == before
    assert [run for run, _ in finished(tmp_path, runs)] == runs
    # a file cut short, another budget, other features
    runs[0].path(tmp_path).write_bytes(before[runs[0]][:100])
    assert run_all(runs, SUITE, tmp_path, features, workers=1, progress=False) == 1
    assert run_all(runs, replace(SUITE, seeds=3), tmp_path, features, workers=1, progress=False) == 3
    other = file.rename(file.with_name("fedcba9876543210.safetensors"))
    assert (
        run_all(
            runs[:1], replace(SUITE, seeds=3), tmp_path, {"made_up": FrozenEncoder(other)}, workers=1, progress=False
        )
        == 1
    )


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
    with pytest.raises(RuntimeError, match=r"1 of 2 runs failed, such as made_up, 40 rows, none: layer 1 gave NaN"):
        run_all(runs, SUITE, tmp_path, {"made_up": FrozenEncoder(file)}, workers=1, progress=False)
    assert runs[1].path(tmp_path).exists() and not runs[0].path(tmp_path).exists()


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
