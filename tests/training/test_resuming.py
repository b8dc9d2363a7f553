"""A checkpoint that was cut short is told from a whole one, whatever file and byte the cut is at."""

import json
import logging
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runs import ARCHIVES, save_checkpoint, train
from transformers.trainer_utils import get_last_checkpoint

from hf_midropout import MIDropoutCallback, MIDropoutConfig, last_whole_checkpoint
from hf_midropout.training.resuming import checkpoints, defect, find_last_whole


pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture(scope="module")
def real(tmp_path_factory, tiny_model_once, train_rows):
    """Two checkpoints that a Trainer wrote."""
    import copy

    from transformers import Trainer, TrainingArguments

    folder = tmp_path_factory.mktemp("real")
    arguments = TrainingArguments(
        str(folder), max_steps=2, save_steps=1, report_to=[], use_cpu=True, disable_tqdm=True,
        dataloader_pin_memory=False,
    )  # fmt: skip
    callback = MIDropoutCallback(MIDropoutConfig(start=1))
    Trainer(copy.deepcopy(tiny_model_once), arguments, train_dataset=train_rows, callbacks=[callback]).train()
    return folder


def files_that_count(folder):
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".py")


def test_what_a_trainer_wrote_is_whole(real):
    assert [path.name for path in checkpoints(real)] == ["checkpoint-1", "checkpoint-2"]
    assert last_whole_checkpoint(real) == get_last_checkpoint(str(real)) == str(real / "checkpoint-2")


@given(st.data())
def test_any_cut_of_any_file_is_seen(real, data):
    folder = real / "checkpoint-2"
    path = folder / data.draw(st.sampled_from(files_that_count(folder)))
    content = path.read_bytes()
    # the last byte of a JSON file is the end of its line
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 2))])
    try:
        reason = defect(folder)
    finally:
        path.write_bytes(content)
    assert reason and path.name in reason
    assert defect(folder) is None


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"]
)
def test_a_file_that_is_missing(real, tmp_path, name, caplog):
    shutil.copytree(real, tmp_path / "out")
    (tmp_path / "out" / "checkpoint-2" / name).unlink()
    with caplog.at_level(logging.WARNING):
        assert last_whole_checkpoint(tmp_path / "out") == str(tmp_path / "out" / "checkpoint-1")
    assert "checkpoint-2 in" in caplog.text and "is skipped: it has no" in caplog.text


def test_shards_and_processes(tmp_path):
    path = save_checkpoint(tmp_path, 3)
    index = path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "model.safetensors"}}))
    assert defect(path) is None
    index.write_text(json.dumps({"weight_map": {"weight": "model-2.safetensors"}}))
    assert "model-2.safetensors, which model.safetensors.index.json names, is missing" in defect(path)
    index.write_text(json.dumps({"weight_map": {"bias": "model.safetensors"}}))
    assert "lacks bias" in defect(path)
    index.unlink()
    (path / "rng_state.pth").rename(path / "rng_state_0.pth")
    assert "rng_state_1.pth" in defect(path)
    shutil.copy(path / "rng_state_0.pth", path / "rng_state_1.pth")
    assert defect(path) is None
    for name in ("optimizer.pt", "scheduler.pt", "rng_state_0.pth", "rng_state_1.pth"):
        (path / name).unlink()
    assert defect(path) is None, "as with save_only_model"
    (path / "trainer_state.json").write_text('{"global_step": 2}')
    assert defect(path) == "trainer_state.json is of step 2."


def test_no_pickle_is_loaded(tmp_path):
    """The archives of a made-up checkpoint hold none: they are looked at, no more."""
    path = save_checkpoint(tmp_path, 3)
    assert set(ARCHIVES) <= {each.name for each in path.iterdir()} and defect(path) is None


def test_no_folder_and_no_checkpoint(tmp_path):
    (tmp_path / "checkpoint-x").mkdir()
    (tmp_path / "checkpoint-1").touch()
    assert find_last_whole(tmp_path) == (None, {}) and last_whole_checkpoint(tmp_path / "none") is None


def test_the_command_goes_on_from_the_newest_whole_one(data_folder, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--num_train_epochs", "2"]
    assert train(data_folder, out, *options) == 0
    whole = json.loads((out / "compact" / "midropout_report.json").read_text())["test"]
    for name in ("compact", "midropout_record.json"):
        path = out / name
        shutil.rmtree(path) if path.is_dir() else None
    weights = out / "checkpoint-10" / "optimizer.pt"
    weights.write_bytes(weights.read_bytes()[:1000])
    capsys.readouterr()
    assert train(data_folder, out, "--resume_from_checkpoint", str(out / "checkpoint-10"), *options) == 1
    assert f"must be {out / 'checkpoint-5'}, the newest whole checkpoint in --output_dir" in capsys.readouterr().err
    assert train(data_folder, out, "--resume_from_checkpoint", str(out / "checkpoint-5"), *options) == 0
    printed = capsys.readouterr().out
    assert "checkpoint-10 is skipped: optimizer.pt is cut off" in printed and "Going on from" in printed
    assert json.loads((out / "compact" / "midropout_report.json").read_text())["test"] == whole
    assert defect(out / "checkpoint-10") is None, "it was written anew"

    assert train(data_folder, out, "--resume", "--head_widths", "16", "4") == 1
    assert "--resume: checkpoint-10 has classifier.layers.1.dense.bias of shape [8]" in capsys.readouterr().err
