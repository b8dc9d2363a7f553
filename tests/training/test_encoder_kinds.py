"""`targets="encoder"` on architectures other than BERT: killed and resumed, compiled, in two processes."""

import gc
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from accelerate import PartialState
from distributed_run import digest
from encoders import collate, rows, tiny_classifier
from processes import exit_code, run_ranks
from transformers import AutoModelForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

from hf_midropout import MIDropoutCallback, MIDropoutConfig, last_whole_checkpoint
from hf_midropout.groups import find_groups
from hf_midropout.pruning.record.training import PruningRecord


pytestmark = pytest.mark.slow  # BERT, by default, is in test_encoder_training.py and test_distributed.py
KINDS = ["electra", "deberta-v2", "modernbert", "mpnet"]


class KillAt(TrainerCallback):
    """Kills its process after the checkpoint of a step."""

    def __init__(self, step: int | None):
        self.step = step

    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def trainer_for(folder: Path, kind: str, kill_at: int | None = None, learning_rate: float = 1e-3, **arguments):
    """One that drops half of the neurons after the third of six steps."""
    arguments = TrainingArguments(
        str(folder), max_steps=6, save_steps=1, per_device_train_batch_size=16 // PartialState().num_processes,
        learning_rate=learning_rate, seed=1, use_cpu=True, disable_tqdm=True, report_to=[],
        dataloader_pin_memory=False, **arguments,
    )  # fmt: skip
    config = MIDropoutConfig(
        targets="encoder", keep=0.5, start=3, reconstruction_samples=100, score_samples=120, baselines=False
    )
    data = rows(160).dataset
    return Trainer(
        tiny_classifier(kind), arguments, train_dataset=data, eval_dataset=data[:64], data_collator=collate,
        callbacks=[MIDropoutCallback(config), KillAt(kill_at)],
    )  # fmt: skip


def train(folder: Path, kind: str, kill_at: int | None = None) -> None:
    trainer = trainer_for(folder, kind, kill_at)
    trainer.train(resume_from_checkpoint=last_whole_checkpoint(folder) if folder.exists() else None)
    trainer.save_model(folder / "end")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert {group.num_units for group in find_groups(model, "encoder").values()} == {32}
    return model.state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_killed_and_resumed_it_ends_in_the_same_weights(tmp_path, kind):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert exit_code(tmp_path / "log", train, whole, kind) == 0, (tmp_path / "log").read_text()
    for step in (2, 4):  # before the cut, and after it
        code = exit_code(tmp_path / "log", train, killed, kind, step)
        assert code == -signal.SIGKILL, (tmp_path / "log").read_text()
        assert last_whole_checkpoint(killed) == str(killed / f"checkpoint-{step}")
    assert exit_code(tmp_path / "log", train, killed, kind) == 0, (tmp_path / "log").read_text()
    one, other = weights(whole / "end"), weights(killed / "end")
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
    assert PruningRecord.load(whole).after == PruningRecord.load(killed).after


def trained(folder: Path, kind: str, learning_rate: float) -> dict:
    trainer = trainer_for(folder / "out", kind, learning_rate=learning_rate, save_strategy="no")
    trainer.train()
    (step,) = trainer.callback_handler.callbacks[0].record.pruning_steps
    return {
        "masks": {name: mask.tolist() for name, mask in step.selection.kept.items()},
        "weights": digest(trainer.model.parameters()),
        "widths": [group.num_units for group in find_groups(trainer.model, "encoder").values()],
    }


def see(folder: Path, kind: str) -> None:
    process = PartialState(cpu=True)
    seen = {str(learning_rate): trained(folder, kind, learning_rate) for learning_rate in (0.0, 1e-3)}
    (folder / f"{process.num_processes}_{process.process_index}.json").write_text(json.dumps(seen))
    gc.collect()  # what belongs to the group of processes may wait for the others when it goes
    process.destroy_process_group()


@pytest.mark.parametrize("kind", KINDS)
def test_in_two_processes(tmp_path, kind):
    for number in (1, 2):
        run_ranks(number, tmp_path, see, tmp_path, kind)
    alone, first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1_0", "2_0", "2_1"))
    assert first == second and first["0.001"]["widths"] == [32] * 3
    assert alone["0.0"]["masks"] == first["0.0"]["masks"]  # of the same network


@pytest.mark.parametrize("kind", KINDS)
def test_compiled(tmp_path, kind):
    """The model below the compiled one is cut, and what was compiled for the larger one is compiled anew."""
    ends = []
    for compiled in (False, True):
        trainer = trainer_for(
            tmp_path / str(compiled), kind, save_strategy="no", torch_compile=compiled,
            torch_compile_backend="eager" if compiled else None,
        )  # fmt: skip
        trainer.train()
        ends.append(trainer.model.state_dict())
    assert {group.num_units for group in find_groups(trainer.model, "encoder").values()} == {32}
    for name, tensor in ends[0].items():
        torch.testing.assert_close(ends[1][name], tensor, rtol=1e-4, atol=1e-5)
