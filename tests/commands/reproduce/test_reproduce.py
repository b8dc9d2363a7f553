"""`hf-midropout reproduce` as a stranger meets it."""

import os
import re
from dataclasses import replace

import pytest
from filelock import FileLock

from hf_midropout.cli import main
from hf_midropout.commands.reproduce.checks import check_finished, short_name
from hf_midropout.commands.reproduce.folder import LOCK, MARK
from hf_midropout.study import encoder, figures, plan, running
from hf_midropout.study.results import write_result
from hf_midropout.utils import files, interruption


def test_from_texts_to_the_page_and_on(study_encoder, data_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(plan.SUITES, "quick", replace(plan.SUITES["quick"], steps={200: 10}))
    options = ["--model", str(study_encoder), "--dataset", str(data_folder), "--output_dir", str(tmp_path / "study")]
    options += ["--size", "40", "--seeds", "2", "--workers", "1", "--max_length", "8"]
    assert main(["reproduce", *options, "--method", "none", "mi_prune"]) == 0
    assert "2 runs: 2 methods, 1 datasets, 1 sizes." in capsys.readouterr().out
    page = tmp_path / "study" / "README.md"
    assert "MI-Dropout (prune)" in page.read_text() and "Dropout 0.3" not in page.read_text()
    assert main(["reproduce", *options, "--method", "none", "mi_prune", "mi_and_dropout"]) == 0
    assert "1 runs made, 2 were there." in capsys.readouterr().out
    assert "Dropout 0.3" in page.read_text()


@pytest.fixture
def options(study_encoder, data_folder, tmp_path, monkeypatch):
    """Of a study in `tmp_path / "study"`, whose runs and figures are made up, as they take time."""

    def run_one(run, suite, trainings):
        curve = [{"step": step, "accuracy": 0.5, "loss": 1.0} for step in (1, 2)]
        test = {"accuracy": 0.5, "loss": 1.0, "expected_calibration_error": 0.1}
        seeds = [{"seed": seed, "curve": curve, "test": test, "bits": {}} for seed in range(suite.seeds)]
        setting = {"learning_rate": 0.001, "value": None}
        return {"setting": setting, "grid": [], "seeds": seeds, "rows": trainings.rows}

    monkeypatch.setattr(running, "run_one", run_one)
    monkeypatch.setattr(figures, "draw", lambda _, path: path.write_bytes(b"a figure") and path)
    return [
        "reproduce", "--model", str(study_encoder), "--dataset", str(data_folder), "--output_dir",
        str(tmp_path / "study"), "--size", "40", "--seeds", "2", "--workers", "1", "--max_length", "8", "--method",
        "none",
    ]  # fmt: skip


def changed(options, **others):
    options = list(options)
    for name, value in others.items():
        options[options.index(f"--{name}") + 1] = value
    return options


def test_results_of_other_options_are_not_replaced(options, tmp_path, capsys):
    assert main(options) == 0
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    capsys.readouterr()
    assert main(changed(options, seeds="3")) == 1
    assert (
        "1 finished run was made with other options (--seeds 2), and would be replaced: give those options, or name "
        "another folder." in capsys.readouterr().err
    )
    assert before == {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert main([*options, "dropout"]) == 0  # what they were made with


@pytest.mark.parametrize(
    ("suite", "changes", "made_by", "told"),
    [
        ("quick", {"seeds": 2}, {}, "--seeds 5"),
        ("quick", {"tuning_seeds": 0, "max_length": 9}, {}, "--tuning_seeds 1 --max_length 128"),
        ("paper", {}, {}, "--suite quick"),
        ("paper", {"seeds": 5}, {}, "--suite quick"),
        ("quick", {"steps": {200: 7}}, {}, "--suite quick"),
        ("quick", {}, {"features": "another"}, "another encoder or other texts"),
        ("quick", {}, {"format": 1}, "those of another version of this package"),
    ],
)
def test_the_options_that_results_were_made_with(suite, changes, made_by, told, tmp_path):
    """There are results of `--suite quick`, but for `made_by`."""
    runs = plan.plan(["news"], [200], ["none", "dropout"])
    outcome = {"seed": 0, "curve": [], "test": {}, "bits": {}}
    for run, given in plan.fingerprints(runs, plan.SUITES["quick"], {"news": "texts"}).items():
        content = {"setting": {}, "grid": [], "rows": {}, "seeds": [outcome]}
        write_result(run.path(tmp_path), given | made_by, content)
    expected = plan.fingerprints(runs, replace(plan.SUITES[suite], **changes), {"news": "texts"})
    with pytest.raises(ValueError, match=re.escape(f": 2 finished runs were made with other options ({told}), and")):
        check_finished(tmp_path, expected)


def test_a_failed_run_is_told_in_one_sentence(options, tmp_path, capsys, monkeypatch):
    run_one = running.run_one

    def failing(run, *rest):
        if run.method == "dropout":
            raise KeyError("loss")
        return run_one(run, *rest)

    monkeypatch.setattr(running, "run_one", failing)
    assert main([*options, "dropout"]) == 1
    error, (run,) = capsys.readouterr().err, [f"{short_name(options[4])}, 40 rows, Dropout"]
    where = tmp_path / "study" / "README.md"
    assert (
        f"1 of 2 runs failed ({run}). The page of the others: {where}. The first failed with: KeyError: 'loss'"
        in error
    )
    page = where.read_text()
    assert f"**Not complete**: 1 run has no result. Started again, the command tries again.\n\n- {run}: " in page
    assert "| none | 50.00" in page and (tmp_path / "study" / "results.parquet").exists()
    monkeypatch.setattr(running, "run_one", run_one)
    assert main([*options, "dropout"]) == 0
    assert "Not complete" not in where.read_text()


def test_if_all_fail_no_page_is_written(options, tmp_path, capsys, monkeypatch):
    def failing(*_):
        raise ValueError("NaN.")

    monkeypatch.setattr(running, "run_one", failing)
    assert main(options) == 1
    assert "1 of 1 runs failed" in capsys.readouterr().err and not (tmp_path / "study" / "README.md").exists()


def test_one_process_at_a_time(options, tmp_path, capsys):
    (tmp_path / "study").mkdir()
    with FileLock(tmp_path / "study" / LOCK):
        assert main(options) == 1
    assert "is in use by another `hf-midropout reproduce`: wait for it, stop it, or" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "study").iterdir()] == [LOCK]
    assert main(options) == 0


def test_a_kill_before_the_mark_is_there_is_no_obstacle(options, tmp_path):
    folder = tmp_path / "study"
    folder.mkdir()
    half = folder / f".{MARK}.{files._place()}-4194305-0123abcd"  # no process has this number
    half.write_text("fine")
    assert main(options) == 0
    assert (folder / MARK).exists() and not half.exists()


def test_a_signal_that_was_swallowed_ends_it(options, tmp_path, monkeypatch):
    monkeypatch.setattr(interruption, "_received", [])
    load = encoder.load_encoder
    monkeypatch.setattr(encoder, "load_encoder", lambda *a, **b: interruption.note(2) or load(*a, **b))
    assert main(options) == 130
    assert not (tmp_path / "study").exists()


def test_folders_are_called_by_their_names(options, data_folder, tmp_path, monkeypatch):
    monkeypatch.chdir(data_folder)
    assert main(changed(options, dataset=".")) == 0
    assert os.listdir(tmp_path / "study" / "runs") == [data_folder.name]
    monkeypatch.chdir(tmp_path / "study")
    assert short_name("..") == tmp_path.name and short_name("fancyzhx/ag_news") == "ag_news"


@pytest.mark.slow  # test_fine_tuning.py holds its parts
def test_fine_tuned(study_encoder, data_folder, tmp_path, capsys, monkeypatch):
    suite = replace(plan.SUITES["finetuned"], steps={40: 4}, batch_sizes={40: 8}, evaluations=2)
    monkeypatch.setitem(plan.SUITES, "finetuned", suite)
    options = ["--model", str(study_encoder), "--dataset", str(data_folder), "--size", "40", "--seeds", "2"]
    options += ["--workers", "1", "--max_length", "8", "--method", "none", "mi_prune"]
    folder = tmp_path / "study"
    assert main(["reproduce", "--suite", "finetuned", "--output_dir", str(folder), *options]) == 0
    assert "2 runs made, 0 were there." in capsys.readouterr().out
    page = (folder / "README.md").read_text()
    assert "The whole classifier is fine-tuned" in page and "**Reduced grid**: nothing was chosen." in page
    assert "all methods have the learning rate 0.0001" in page.lower()
    assert main(["reproduce", "--output_dir", str(folder), *options]) == 1
    assert "holds a study with a fine-tuned encoder; name another folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--suite", "big"], "--suite big: must be one of paper, quick, finetuned."),
        (["--method", "none", "magic"], "--method magic: must be among none, none_two_rates, rewound,"),
        (["--method", "none", "none"], "--method none: comes 2 times"),
        (["--seeds", "1"], "--seeds 1: must be 2 to 999"),
        (["--tuning_seeds", "-1"], "--tuning_seeds -1: must be 0 to 999"),
        (["--size", "5"], "--size 5: must be 20 rows or more, or 0 for all."),
        (["--workers", "0"], "--workers 0: must be 1 or more."),
        (["--dataset", "a/news", "b/news"], "--dataset news: comes 2 times"),
        (["--max_length", "2"], "--max_length 2: must be 3 or more."),
    ],
)
def test_refused_at_once(options, message, tmp_path, capsys):
    assert main(["reproduce", "--output_dir", str(tmp_path / "study"), *options]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_there_are(study_encoder, data_folder, tmp_path, capsys):
    options = ["--model", str(study_encoder), "--dataset", str(data_folder), "--output_dir", str(tmp_path / "study")]
    assert main(["reproduce", *options, "--size", "500"]) == 1
    assert "size 500: the training split has 72 rows" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.docx").write_text("mine")
    assert main(["reproduce", "--output_dir", str(tmp_path)]) == 1
    assert "holds thesis.docx, and no study" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_page_of_someone_else_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    assert main(["reproduce", "--output_dir", str(tmp_path)]) == 1
    assert "README.md" in capsys.readouterr().err and (tmp_path / "README.md").read_text() == "mine"


def test_list(capsys):
    assert main(["reproduce", "--list_methods"]) == 0
    out = capsys.readouterr().out
    assert "suite paper: frozen encoder, 10 seeds, sizes 200, 2000, all" in out and "mi_prune" in out
