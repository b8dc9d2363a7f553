import copy
import logging
from pathlib import Path

import datasets
import pytest
import torch
from conftest import make_rows
from transformers import TrainerCallback

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning_record import PruningRecord


def masks(model) -> list[list[bool]]:
    return [layer.mask.tolist() for layer in model.classifier.layers]


def losses(trainer) -> list[float]:
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


class MaskWatcher(TrainerCallback):
    """Neurons kept at the end of each step, as the checkpoint and the evaluation of that step see them."""

    def __init__(self):
        self.kept = []

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.kept.append(sum(int(layer.mask.sum()) for layer in model.classifier.layers))


def test_scoring_only_equals_a_plain_run(make_trainer):
    """Invariant 1: bit-identical losses and weights, with dropout active."""
    plain = make_trainer()
    plain.train()
    scored = make_trainer([MIDropoutCallback(MIDropoutConfig(start=3, action="none"))])
    scored.train()
    assert len(losses(plain)) == 8
    assert losses(scored) == losses(plain)
    for name, tensor in plain.model.state_dict().items():
        assert torch.equal(scored.model.state_dict()[name], tensor), name


def test_prunes_once_and_goes_on_training(make_trainer):
    watcher, callback = MaskWatcher(), MIDropoutCallback(MIDropoutConfig(start=0.5, keep=0.5))
    trainer = make_trainer([callback, watcher])
    trainer.train()
    assert watcher.kept == [26] * 3 + [13] * 5
    record = callback.record
    assert record.step == 4
    assert [layer["kept"] for layer in record.layers()] == [6, 4, 3]
    assert trainer.model.compact().config.head_widths == [6, 4, 3]
    # what was kept is what scored best
    for name, layer in record.before.layers.items():
        mask = record.selection.kept[name]
        assert layer.bits[mask].min() >= layer.bits[~mask].max()
        assert (record.after.layers[name].bits[~mask] == 0).all()
    assert set(record.validation) == {"rows", "before_pruning", "after_pruning", "after_retraining"}
    assert record.validation["rows"] == 64
    assert PruningRecord.load(trainer.args.output_dir).to_dict() == record.to_dict()


def test_metrics_are_those_of_the_trainers_own_evaluation(make_trainer):
    callback = MIDropoutCallback(MIDropoutConfig(start=4))
    trainer = make_trainer([callback])
    trainer.train()
    assert callback.record.validation["after_retraining"]["loss"] == pytest.approx(
        trainer.evaluate()["eval_loss"], abs=1e-5
    )


def test_bits_reach_the_trainers_own_logging(make_trainer, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = make_trainer([MIDropoutCallback(MIDropoutConfig(start=4))], report_to=["tensorboard"])
    trainer.train()
    before = next(entry for entry in trainer.state.log_history if "midropout/before/bits/classifier.layers.0" in entry)
    assert before["step"] == 4
    assert before["midropout/before/neurons_kept/classifier.layers.0"] == 6
    assert "midropout/after_pruning/accuracy" in before
    assert any("midropout/after/bits/classifier.layers.2" in entry for entry in trainer.state.log_history)
    # Two files: the Trainer's TensorBoard callback has closed the first when the scores at the end are logged.
    files = Path(trainer.args.output_dir).rglob("events.out.tfevents*")
    written = {tag for file in files for tag in EventAccumulator(str(file)).Reload().Tags()["scalars"]}
    assert any(tag.endswith("midropout/before/bits/classifier.layers.0") for tag in written)


def test_best_model_at_end_does_not_bring_neurons_back(make_trainer):
    """Invariant 7: the best loss here is one from before the prune step."""

    class WorseAndWorse(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics=None, **kwargs):
            metrics["eval_loss"] = float(state.global_step)

    trainer = make_trainer(
        [MIDropoutCallback(MIDropoutConfig(start=4)), WorseAndWorse()],
        eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2,
        load_best_model_at_end=True, metric_for_best_model="loss",
    )  # fmt: skip
    trainer.train()
    assert trainer.state.best_global_step == 4  # the prune step's own checkpoint is already pruned
    assert sum(map(sum, masks(trainer.model))) == 13


def test_resuming_after_the_prune_step_does_not_prune_again(make_trainer):
    whole = make_trainer([MIDropoutCallback(MIDropoutConfig(start=4))], save_strategy="steps", save_steps=2)
    whole.train()
    for step in (2, 4, 6):
        callback = MIDropoutCallback(MIDropoutConfig(start=4))
        resumed = make_trainer([callback], save_strategy="steps", save_steps=100)
        resumed.train(resume_from_checkpoint=f"{whole.args.output_dir}/checkpoint-{step}")
        assert masks(resumed.model) == masks(whole.model), step
        for name, tensor in whole.model.state_dict().items():
            assert torch.equal(resumed.model.state_dict()[name], tensor), (step, name)
        assert callback.record.step == 4


def test_a_run_that_ends_before_its_start_says_so(make_trainer, caplog):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 2

    make_trainer([MIDropoutCallback(MIDropoutConfig(start=4)), Stop()]).train()
    assert "never fired: training ended at step 2 of 8" in caplog.text
    assert "after step 4" in caplog.text


def test_a_threshold_that_would_drop_everything_keeps_training(make_trainer, caplog):
    callback = MIDropoutCallback(MIDropoutConfig(start=4, threshold=1.58))
    trainer = make_trainer([callback])
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.state.global_step == 8
    assert callback.record.selection is None
    assert "would drop all of 26 neurons" in callback.record.refused
    assert "would drop all of 26 neurons" in caplog.text


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ({"threshold": 1.6}, {}, r"threshold=1.6 bits.*log2\(3\)"),
        ({"start": 8}, {}, "step 8, but training has 8 steps"),
        ({}, {"train_dataset": make_rows(32, 1).filter(lambda row: row["labels"] == 1)}, r"1 class\(es\) \[1\]"),
        ({}, {"train_dataset": datasets.Dataset.from_dict({"input_ids": [[5]] * 32, "labels": [0, 7] * 16})}, "7"),
    ],
)
def test_mistakes_are_found_before_training(make_trainer, options, changes, message):
    """Invariant 9."""
    trainer = make_trainer([MIDropoutCallback(MIDropoutConfig(**options))], **changes)
    with pytest.raises(ValueError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0


def test_unsuitable_models_are_refused(make_trainer, tiny_model):
    half = copy.deepcopy(tiny_model).half()
    with pytest.raises(ValueError, match="float16.*dtype=torch.float32"):
        make_trainer([MIDropoutCallback()], model=half).train()
    tiny_model.classifier.layers[0].mask[0] = False
    with pytest.raises(ValueError, match="already has dropped neurons"):
        make_trainer([MIDropoutCallback()], model=tiny_model).train()
