"""Run in processes of their own by test_resume.py: a training with rounds of pruning that kills itself, or goes on."""

import json
import os
import signal
from pathlib import Path

import torch
from conftest import make_rows, tiny_config
from safetensors.torch import save_file
from transformers import Trainer, TrainerCallback, TrainingArguments

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class KillAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:  # the checkpoint of that step, if any, has been written
            die()


class DyingRows:
    """A dataset that dies when its rows are read for scores the N-th time: training reads row by row elsewhere."""

    def __init__(self, rows, passes: int):
        self.rows, self.left = rows, passes
        self.column_names = rows.column_names

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def with_format(self, *args, **options):
        return self.rows.with_format(*args, **options)

    def __getitems__(self, indices):
        if len(indices) == 32:  # the evaluation batch size: a pass of scores is four such batches
            self.left -= 1 / 4
            if self.left < 0.5 and self.left > 0:
                die()
        return [self.rows[index] for index in indices]


def train(folder: Path, kill_at: str, restore: bool = False, checkpoint: str | None = None) -> None:
    """`kill_at` is a step, `scoring N` for the middle of the N-th pass of scores, or `never`."""
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification(tiny_config(head_dropout=0.1))
    rows = make_rows(128, seed=2)
    callbacks = [
        MIDropoutCallback(MIDropoutConfig(start=3, keep=0.25, pruning_steps=2, rewind_learning_rate=True)),
    ]
    if kill_at.startswith("scoring"):
        rows = DyingRows(rows, int(kill_at.split()[1]))
    elif kill_at != "never":
        callbacks.append(KillAt(int(kill_at)))
    arguments = TrainingArguments(
        str(folder), max_steps=9, per_device_train_batch_size=16, per_device_eval_batch_size=32, learning_rate=1e-2,
        save_strategy="steps", save_steps=1, logging_steps=1, use_cpu=True, disable_tqdm=True, report_to=[],
        dataloader_pin_memory=False, restore_callback_states_from_checkpoint=restore, seed=7,
    )  # fmt: skip
    trainer = Trainer(model, arguments, train_dataset=rows, eval_dataset=make_rows(64, seed=3), callbacks=callbacks)
    trainer.train(resume_from_checkpoint=checkpoint)
    save_file({name: tensor.contiguous() for name, tensor in trainer.model.state_dict().items()}, folder / "end")
    record = json.loads((folder / "midropout_record.json").read_text())
    (folder / "steps.json").write_text(json.dumps([each["step"] for each in record["pruning_steps"]]))
