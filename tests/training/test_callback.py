import copy
import logging
import random
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from conftest import make_rows
from transformers import TrainerCallback

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning.record.training import PruningRecord


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
    assert [layer.kept for layer in record.layers()] == [6, 4, 3]
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


def test_bits_reach_the_trainers_own_logging(make_trainer):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = make_trainer([MIDropoutCallback(MIDropoutConfig(start=4))], report_to=["tensorboard"])
    trainer.train()
    before = next(entry for entry in trainer.state.log_history if "midropout/before/bits/classifier.layers.0" in entry)
    assert before["step"] == 4
    assert before["midropout/before/neurons_kept/classifier.layers.0"] == 6
    assert "midropout/after_pruning/accuracy" in before
    assert any("midropout/after/bits/classifier.layers.2" in entry for entry in trainer.state.log_history)
    (file,) = Path(trainer.args.output_dir).rglob("events.out.tfevents*")  # the last scores come before it is closed
    written = EventAccumulator(str(file)).Reload().Tags()["scalars"]
    for moment in ("before", "after"):
        assert any(tag.endswith(f"midropout/{moment}/bits/classifier.layers.0") for tag in written)


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


def test_one_object_serves_one_training_after_another(make_trainer):
    """Prune, compact, prune again; and a model with other classes: nothing of the first training is left."""
    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    first = make_trainer([callback])
    first.train()
    record = callback.record
    second = make_trainer([callback], model=first.model.compact())
    second.train()
    assert callback.record is not record
    assert [layer.neurons for layer in callback.record.layers()] == [6, 4, 3]
    assert [layer.kept for layer in callback.record.layers()] == [3, 2, 2]
    assert second.model.compact().config.head_widths == [3, 2, 2]
    binary = [row["labels"] % 2 for row in make_rows(64, 5)]
    rows = make_rows(64, 5).remove_columns("labels").add_column("labels", binary)
    make_trainer([callback], train_dataset=rows, eval_dataset=rows).train()
    assert callback.record.before.label_entropy <= 1
    with pytest.raises(ValueError, match="already has dropped neurons"):
        first.train()


def test_model_init_and_several_trainings_report_the_last(make_trainer, tiny_model_once):
    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    trainer = make_trainer([callback])
    trainer.model_init = lambda: copy.deepcopy(tiny_model_once)
    trainer.train()
    first = callback.record
    trainer.args.learning_rate = 2e-2
    trainer.train()
    assert callback.record is not first
    assert callback.record.to_dict() != first.to_dict()


def test_two_callbacks_are_refused(make_trainer):
    with pytest.raises(ValueError, match="more than one MIDropoutCallback"):
        make_trainer([MIDropoutCallback(), MIDropoutCallback()]).train()


class NoisyCollator:
    """Swaps tokens at random, out of every generator that people use."""

    def __init__(self):
        self.generator = np.random.default_rng(3)

    def __call__(self, items):
        batch = {key: torch.tensor([item[key] for item in items]) for key in items[0]}
        for place, draw in enumerate(
            (np.random.rand(), random.random(), float(torch.rand(1)), self.generator.random())
        ):
            batch["input_ids"][:, place + 4] = 20 + int(draw * 40)
        return batch


RNG = np.random.default_rng(5)
"""As in a notebook, where functions find it."""


def two_noisy_tokens(ids: list[int]) -> list[int]:
    return [*ids[:6], *RNG.integers(20, 60, 2).tolist()]


@pytest.mark.parametrize(
    "how",
    ["collator", "transform", "stream", "workers", "notebook", "notebook, stream", "closure"],
)
def test_scoring_only_equals_a_plain_run_where_data_are_random(make_trainer, how):
    rows = make_rows(128, seed=2)
    if how == "transform":
        rows = rows.with_transform(
            lambda batch: {
                **batch,
                "input_ids": [[5 + np.random.randint(50) for _ in ids] for ids in batch["input_ids"]],
            }
        )
    elif how == "stream":
        rows = rows.to_iterable_dataset().map(
            lambda row: {
                **row,
                "input_ids": [*row["input_ids"][:6], 20 + random.randrange(9), 20 + np.random.randint(9)],
            }
        )
    elif how == "notebook":
        rows = rows.with_transform(
            lambda batch: {**batch, "input_ids": list(map(two_noisy_tokens, batch["input_ids"]))}
        )
    elif how == "notebook, stream":
        rows = rows.to_iterable_dataset().map(lambda row: {**row, "input_ids": two_noisy_tokens(row["input_ids"])})
    results = []
    for callbacks in ([], [MIDropoutCallback(MIDropoutConfig(start=3, action="none"))]):
        RNG.bit_generator.state = np.random.default_rng(5).bit_generator.state
        trainer = make_trainer(callbacks, train_dataset=rows, dataloader_num_workers=2 if how == "workers" else 0)
        if how in ("collator", "workers"):
            trainer.data_collator = NoisyCollator()
        elif how == "closure":
            noisy = NoisyCollator()
            trainer.data_collator = lambda items, noisy=noisy: noisy(items)
        random.seed(0), np.random.seed(0)
        trainer.train()
        results.append(losses(trainer))
    assert len(results[0]) == 8
    assert results[0] == results[1]
