"""Invariant 11: a resumed training ends as one that never stopped, whatever is done to neurons."""

import copy
import json
import logging
from pathlib import Path

import pytest
import torch
from transformers import TrainerCallback

from hf_midropout import MIDropoutCallback, MIDropoutConfig


class SaveAt(TrainerCallback):
    def __init__(self, steps):
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = state.global_step in self.steps


def train(make_trainer, config: dict, resume=None, callbacks=None, save_at=(), **arguments):
    """With a checkpoint at the steps `save_at`: each takes as long as some steps."""
    callback = MIDropoutCallback(MIDropoutConfig(**{"start": 3, **config}))
    trainer = make_trainer([*([callback] if callbacks is None else callbacks), SaveAt(save_at)], **arguments)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, callback


def checkpoint(trainer, step: int) -> str:
    return f"{trainer.args.output_dir}/checkpoint-{step}"


def without_seconds(record) -> dict:
    content = json.loads(json.dumps(record.to_dict()))
    for scores in [content["after"], *(each["scores"] for each in content["pruning_steps"])]:
        del scores["seconds"]
    for each in content["pruning_steps"]:
        del each["seconds"]
    return content


# Every action, criterion and reconstruction, one round and several.
CASES = {
    "prune": {"keep": 0.5},
    "prune, as in the paper": {"threshold": 0.05, "reconstruction": "none"},
    "prune, means, joint information": {
        "keep": 0.5, "reconstruction": "mean", "scope": "global", "criterion": "joint_information",
    },
    "dropout, std_times_norm": {"keep": 0.5, "action": "dropout", "criterion": "std_times_norm"},
    "graded dropout": {"keep": 0.5, "action": "dropout", "graded": True, "dropout_rate": 0.7},
    "reinitialize, taylor": {"keep": 0.5, "action": "reinitialize", "criterion": "taylor"},
    "none": {"action": "none"},
    "three rounds, random": {"keep": 0.2, "pruning_steps": 3, "criterion": "random"},
    "two rounds, learning rate, magnitude": {
        "keep": 0.3, "pruning_steps": 2, "rewind_learning_rate": True, "criterion": "magnitude",
    },
}  # fmt: skip
# The others differ from them in what test_actions.py and test_criteria.py hold.
FIRST = ("prune, as in the paper", "graded dropout", "two rounds, learning rate, magnitude")


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=() if case in FIRST else pytest.mark.slow) for case in CASES]
)
def test_resumed_before_at_and_after_the_step(make_trainer, case):
    config = CASES[case]
    whole, callback = train(make_trainer, config, save_at=(2, 3, 5), max_steps=6)
    expected = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}
    for step in (2, 3, 5):
        resumed, again = train(make_trainer, config, resume=checkpoint(whole, step), max_steps=6)
        for name, tensor in resumed.model.state_dict().items():
            assert torch.equal(tensor, expected[name]), (step, name)
        resumed.model.save_pretrained(resumed.args.output_dir)  # as the other was: it completes the config
        assert resumed.model.config.to_dict() == whole.model.config.to_dict()
        assert without_seconds(again.record) == without_seconds(callback.record), step


def test_a_search_is_not_made_again(make_trainer, learned_model_once):
    config = {"threshold": "search", "margin": 0.3, "reconstruction": "mean"}

    def model():
        return copy.deepcopy(learned_model_once)

    whole, callback = train(make_trainer, config, save_at=(2, 3, 5), model=model(), max_steps=6)
    assert callback.record.selection is not None and callback.record.pruning_steps[0].sweep
    expected = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}
    for step in (2, 3, 5):
        resumed, again = train(make_trainer, config, resume=checkpoint(whole, step), model=model(), max_steps=6)
        for name, tensor in resumed.model.state_dict().items():
            assert torch.equal(tensor, expected[name]), (step, name)
        assert without_seconds(again.record) == without_seconds(callback.record), step


def test_the_output_folders_record_is_not_needed_nor_believed(make_trainer):
    whole, callback = train(make_trainer, {"keep": 0.5}, save_at=(5,))
    path = Path(whole.args.output_dir, "midropout_record.json")
    for content in (None, "{", json.dumps({"pruning_steps": "of another run"})):
        path.unlink(missing_ok=True)
        if content:
            path.write_text(content)
        _, again = train(make_trainer, {"keep": 0.5}, resume=checkpoint(whole, 5))
        assert without_seconds(again.record) == without_seconds(callback.record)


def test_a_stale_record_is_not_adopted(make_trainer):
    first, _ = train(make_trainer, {"keep": 0.5}, save_at=range(1, 8))
    content = Path(first.args.output_dir, "midropout_record.json").read_bytes()
    callback = MIDropoutCallback(MIDropoutConfig(start=3))
    stopped, _ = train(make_trainer, {}, callbacks=[], save_at=(2,), max_steps=2)
    trainer = make_trainer([callback])
    trainer.args.max_steps = 4
    trainer.train(resume_from_checkpoint=checkpoint(stopped, 2))
    assert callback.record.step == 3 and callback.record.max_steps == 4
    assert Path(first.args.output_dir, "midropout_record.json").read_bytes() != content


def test_a_run_without_the_callback_is_taken_up_before_the_start(make_trainer):
    plain, _ = train(make_trainer, {}, callbacks=[], save_at=(5,))
    trainer, callback = train(make_trainer, {"start": 6}, resume=checkpoint(plain, 5))
    assert callback.record.step == 6 and trainer.state.global_step == 8
    with pytest.raises(
        ValueError, match="start=3 is step 3 of 8, but the checkpoint is of step 5, trained without MID"
    ):
        train(make_trainer, {"start": 3}, resume=checkpoint(plain, 5))


@pytest.mark.parametrize(
    "changed",
    [
        {"keep": 0.25},
        pytest.param({"keep": 0.5, "action": "dropout"}, marks=pytest.mark.slow),
        pytest.param({"keep": 0.5, "seed": 1}, marks=pytest.mark.slow),
    ],
)
def test_another_configuration_after_the_step_is_refused(make_trainer, changed):
    whole, _ = train(make_trainer, {"keep": 0.5}, save_at=(2, 4), max_steps=5)
    with pytest.raises(ValueError, match=r"step 4 was pruned with another configuration: .*\(was "):
        train(make_trainer, changed, resume=checkpoint(whole, 4), max_steps=5)
    _, callback = train(make_trainer, changed, resume=checkpoint(whole, 2), max_steps=5)  # before it, nothing is lost
    assert callback.record.config["keep"] == changed["keep"]


def test_a_finished_training_is_extended(make_trainer):
    whole, callback = train(make_trainer, {"start": 0.5, "keep": 0.5}, save_at=(8,))
    longer, again = train(make_trainer, {"start": 0.5, "keep": 0.5}, resume=checkpoint(whole, 8), max_steps=24)
    assert longer.state.global_step == 24
    assert [each.step for each in again.record.pruning_steps] == [4]
    assert [layer.kept for layer in again.record.layers()] == [6, 4, 3]
    half, _ = train(make_trainer, {"start": 0.75, "keep": 0.5}, save_at=(2,), max_steps=4)
    with pytest.raises(ValueError, match="start=0.25 is step 2 of 8.*step 2, trained for 4 steps"):
        train(make_trainer, {"start": 0.25, "keep": 0.5}, resume=checkpoint(half, 2), max_steps=8)


def test_rounds_to_come_are_spread_over_a_longer_training(make_trainer):
    config = {"start": 3, "keep": 0.2, "pruning_steps": 3}
    whole, _ = train(make_trainer, config, save_at=(4,), max_steps=9)
    longer, callback = train(make_trainer, config, resume=checkpoint(whole, 4), save_at=(10,), max_steps=19)
    assert [each.step for each in callback.record.pruning_steps] == [3, 9, 14]
    assert [layer.kept for layer in callback.record.layers()] == [2, 2, 1]
    json.dumps(callback.record.to_dict(), allow_nan=False)
    # and that training, resumed, goes on in the same way
    again, resumed = train(make_trainer, config, resume=checkpoint(longer, 10), max_steps=19)
    assert without_seconds(resumed.record) == without_seconds(callback.record)
    for name, tensor in longer.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor), name


def test_restored_callback_states_do_as_well(make_trainer):
    whole, callback = train(make_trainer, {"keep": 0.3, "pruning_steps": 2}, save_at=(4,))
    resumed, _ = train(
        make_trainer,
        {"keep": 0.3, "pruning_steps": 2},
        resume=checkpoint(whole, 4),
        restore_callback_states_from_checkpoint=True,
    )
    (restored,) = [each for each in resumed.callback_handler.callbacks if isinstance(each, MIDropoutCallback)]
    assert without_seconds(restored.record) == without_seconds(callback.record)


def test_a_smaller_batch_after_running_out_of_memory(make_trainer, caplog):
    """The Trainer starts again with the weights as they are: neurons dropped before stay dropped."""

    class Full(MIDropoutCallback):
        failed = False

        def on_step_begin(self, args, state, control, **kwargs):
            if state.global_step == 5 and not self.failed:
                self.failed = True
                raise torch.cuda.OutOfMemoryError("CUDA out of memory.")

    callback = Full(MIDropoutConfig(start=3, keep=0.3, pruning_steps=2))
    with caplog.at_level(logging.WARNING):
        trainer, _ = train(make_trainer, {}, callbacks=[callback], auto_find_batch_size=True)
    assert callback.failed and trainer.state.global_step == 8
    assert "starts again with a smaller batch" in caplog.text
    assert [each.step for each in callback.record.pruning_steps] == [3, 5]
    assert trainer.model.compact().config.head_widths == [4, 2, 2]
