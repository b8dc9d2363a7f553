"""`hf-midropout train --compare dense`: the same training without pruning, also after a stop in the middle of it."""

import json
import shutil
from pathlib import Path

import pytest
from checkpoints import contents
from runs import train
from safetensors.torch import load_file
from transformers import Trainer

from hf_midropout.cli import main
from hf_midropout.reporting.report import Report
from hf_midropout.reporting.verdict import verdict
from hf_midropout.training.run_record import DENSE, RunRecord


pytestmark = pytest.mark.usefixtures("blank_figures")

OPTIONS = ["--num_train_epochs", "2", "--compare", "dense"]


@pytest.fixture(scope="module")
def run(data_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("compared") / "out"
    assert train(data_folder, out, *OPTIONS) == 0
    return out


def weights(folder: Path) -> dict:
    return {name: tensor.tolist() for name, tensor in load_file(folder / "model.safetensors").items()}


def test_it_is_the_training_that_never_met_pruning(run, data_folder, tmp_path):
    assert train(data_folder, tmp_path / "plain", "--num_train_epochs", "2", "--action", "none") == 0
    assert weights(run / DENSE / "checkpoint-10") == weights(tmp_path / "plain" / "checkpoint-10")


@pytest.mark.slow
def test_also_where_the_shared_phase_ends_with_an_epoch(data_folder, tmp_path):
    assert train(data_folder, tmp_path / "out", *OPTIONS, "--start", "6") == 0
    assert train(data_folder, tmp_path / "plain", "--num_train_epochs", "2", "--action", "none") == 0
    assert Report.load(tmp_path / "out" / "compact").beside.shared_steps == 5
    assert weights(tmp_path / "out" / DENSE / "checkpoint-10") == weights(tmp_path / "plain" / "checkpoint-10")


def test_what_the_report_tells(run):
    report = Report.load(run / "compact")
    assert report.beside.shared_steps == 4 and report.beside.largest_class == 0.5
    assert report.beside.to_dense.value == pytest.approx(report.test.accuracy - report.dense_test.accuracy)
    assert report.beside.latency.timings[0].batch_size == 1
    first, second = verdict(report)
    assert "with 50% of the neurons of the head, dense" in first and "largest class 50.0%" in first
    assert "compare" not in first and ("times faster" in second or "times as fast" in second)
    saved = json.loads((run / "compact" / "midropout_report.json").read_text())
    assert saved["verdict"] == [first, second]


def test_stopped_in_the_dense_training_it_goes_on_to_the_same(run, data_folder, tmp_path, monkeypatch, capsys):
    step = Trainer.training_step

    def stop_in_dense(self, *args, **kwargs):
        if DENSE in self.args.output_dir and self.state.global_step == 8:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    steps = ["--save_strategy", "steps", "--save_steps", "3"]
    monkeypatch.setattr(Trainer, "training_step", stop_in_dense)
    assert train(data_folder, tmp_path / "out", *OPTIONS, *steps) == 130
    error = capsys.readouterr().err
    assert "stopped at step 8 of the dense training; continue with --resume (from checkpoint-10)" in error
    monkeypatch.undo()
    assert train(data_folder, tmp_path / "out", *OPTIONS, *steps, "--resume") == 0
    assert "without pruning, from step 6 of 10" in capsys.readouterr().out
    assert weights(tmp_path / "out" / DENSE / "checkpoint-10") == weights(run / DENSE / "checkpoint-10")
    assert weights(tmp_path / "out" / "compact") == weights(run / "compact")
    again, once = Report.load(tmp_path / "out" / "compact"), Report.load(run / "compact")
    assert (again.dense_test, again.beside.to_dense) == (once.dense_test, once.beside.to_dense)


@pytest.mark.slow
def test_asked_for_later_it_begins_at_the_beginning(run, data_folder, tmp_path, capsys):
    assert train(data_folder, tmp_path / "out", "--num_train_epochs", "2") == 0
    assert train(data_folder, tmp_path / "out", *OPTIONS, "--resume") == 0
    assert "without pruning, from step 0 of 10" in capsys.readouterr().out
    assert weights(tmp_path / "out" / DENSE / "checkpoint-10") == weights(run / DENSE / "checkpoint-10")
    assert Report.load(tmp_path / "out" / "compact").beside.shared_steps == 0


def test_a_later_run_removes_what_it_wrote_and_nothing_else(run, data_folder, tmp_path):
    out = Path(shutil.copytree(run, tmp_path / "out"))
    (out / DENSE / "checkpoint-10" / "notes.txt").write_text("mine")
    (out / DENSE / "diary.txt").write_text("mine")
    assert DENSE in RunRecord.load(out).there(out)
    assert train(data_folder, out, "--overwrite_output_dir") == 0
    kept = {name: text for name, text in contents(out).items() if text == b"mine"}
    assert len(kept) == 2 and all("_earlier_run" in name or DENSE in name for name in kept)
    assert not list(out.rglob("*_dense_run/*/model.safetensors"))


def test_nothing_to_compare_is_told_before_any_training(data_folder, tmp_path, capsys):
    assert train(data_folder, tmp_path / "out", "--compare", "dense", "--action", "none") == 1
    assert "--compare dense has no effect with --action none" in capsys.readouterr().err
    assert main(["train", "--compare", "random", "--output_dir", str(tmp_path / "out")]) == 1
    assert "--compare random: must be dense" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
