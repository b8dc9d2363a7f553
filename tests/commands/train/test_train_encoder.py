"""`hf-midropout train --targets encoder` on architectures of which stock checkpoints exist: killed, and resumed."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from encoders import tiny_config, with_large_weights
from processes import exit_code
from safetensors.torch import load_file

from hf_midropout.cli import main
from hf_midropout.commands.train.checkpoint_names import CheckpointNames, check_checkpoint_fits
from hf_midropout.models.builtin import train_tokenizer


KINDS = ["electra", "deberta-v2", "modernbert", "mpnet"]
OPTIONS = [
    "--targets", "encoder", "--keep", "0.5", "--baselines", "false", "--reconstruction_samples", "100", "--use_cpu",
    "--max_steps", "6", "--save_strategy", "steps", "--save_steps", "1", "--per_device_train_batch_size", "16",
    "--max_length", "16", "--disable_tqdm", "true",
]  # fmt: skip


def train(options: list[str], kill_at: int | None = None) -> None:
    """Run in a process of its own: the command, which dies after the checkpoint of a step."""

    def die(self, args, state, control, **kwargs):
        if state.global_step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    CheckpointNames.on_step_begin = die
    sys.exit(main(["train", *options, *OPTIONS]))


@pytest.mark.slow  # by default: of a head in test_resuming.py, of an encoder in training/test_encoder_training.py
@pytest.mark.parametrize("kind", KINDS)
def test_killed_before_and_after_the_cut_and_resumed(data_folder, tmp_path, kind):
    tokenizer = train_tokenizer(Dataset.from_csv(str(data_folder / "train.csv"))["text"][:], vocab_size=60)
    for each in (with_large_weights(tiny_config(kind, vocab_size=len(tokenizer), num_labels=2)), tokenizer):
        each.save_pretrained(tmp_path / "base")
    log, whole, killed = tmp_path / "log", tmp_path / "whole", tmp_path / "killed"
    options = ["--model", str(tmp_path / "base"), "--dataset", str(data_folder), "--output_dir"]
    assert exit_code(log, train, [*options, str(whole)]) == 0, log.read_text()
    resume: list[str] = []
    for step in (2, 4):  # an epoch has five steps
        assert exit_code(log, train, [*options, str(killed), *resume], step) == -signal.SIGKILL, log.read_text()
        resume = ["--resume"]
    assert exit_code(log, train, [*options, str(killed), "--resume"]) == 0, log.read_text()
    one, other = (load_file(folder / "compact" / "model.safetensors") for folder in (whole, killed))
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    config = json.loads((killed / "compact" / "config.json").read_text())
    assert config["intermediate_size"] == 32


def test_a_checkpoint_of_another_encoder_is_no_narrower_one(tmp_path):
    def saved(**options) -> Path:
        folder = tmp_path / "-".join(map(str, options.values()))
        with_large_weights(tiny_config("modernbert", **options)).save_pretrained(folder)
        return folder

    model = with_large_weights(tiny_config("modernbert"))
    check_checkpoint_fits(saved(intermediate_size=32), model, "encoder")
    for options, targets in (
        ({"intermediate_size": 32}, "head"),
        ({"intermediate_size": 96}, "encoder"),
        ({"hidden_size": 16}, "encoder"),
    ):
        with pytest.raises(ValueError, match="give the options of the run that is to go on"):
            check_checkpoint_fits(saved(**options), model, targets)
