"""What the callback does to neurons, beyond pruning them once by a fraction."""

import logging

import pytest
import torch
from conftest import make_rows
from transformers import TrainerCallback

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning.record.training import PruningRecord


def run(make_trainer, config: dict, callbacks=(), **arguments):
    callback = MIDropoutCallback(MIDropoutConfig(**{"start": 4, **config}))
    trainer = make_trainer([callback, *callbacks], **arguments)
    trainer.train()
    return trainer, callback.record


class Snapshot(TrainerCallback):
    """Weights of the head as they are at the end of each step, after the actions."""

    def __init__(self):
        self.weights, self.rates = {}, {}

    def on_step_end(self, args, state, control, model=None, **kwargs):
        self.weights[state.global_step] = [layer.dense.weight.detach().clone() for layer in model.classifier.layers]

    def on_log(self, args, state, control, logs=None, **kwargs):
        if "learning_rate" in logs:
            self.rates[state.global_step] = logs["learning_rate"]


def test_search_chooses_a_level_of_the_sweep(make_trainer, learned_model):
    options = {"threshold": "search", "margin": 0.2, "reconstruction": "none"}
    trainer, record = run(make_trainer, options, model=learned_model)
    (done,) = record.pruning_steps
    level = done.sweep["levels"][done.sweep["chosen"]]
    assert level["kept"] == {name: kept for name, (kept, _) in record.selection.widths.items()}
    assert level["accuracy"] == pytest.approx(record.validation["after_pruning"]["accuracy"])
    assert level["threshold"] == record.selection.threshold
    assert level["p_value"] <= 0.05 and level["difference"] < 0.2
    assert done.sweep["dense"]["accuracy"] == pytest.approx(record.validation["before_pruning"]["accuracy"])
    assert [layer.mask.sum() for layer in trainer.model.classifier.layers] == list(level["kept"].values())
    assert PruningRecord.load(trainer.args.output_dir).to_dict() == record.to_dict()


def test_search_that_finds_nothing_keeps_training(make_trainer, learned_model, caplog):
    with caplog.at_level(logging.WARNING):
        # On 64 rows this margin is passed if no row is lost, by just so much.
        options = {"margin": 0.046, "seed": 3, "reconstruction": "none", "criterion": "random"}
        trainer, record = run(make_trainer, {"threshold": "search", **options}, model=learned_model)
    assert trainer.state.global_step == 8
    assert record.selection is None and "not shown to be non-inferior" in record.refused
    assert "rows or so may show it" in caplog.text
    assert record.pruning_steps[0].sweep["chosen"] is None


def test_search_needs_validation_rows(make_trainer):
    with pytest.raises(ValueError, match="give an eval_dataset"):
        run(make_trainer, {"threshold": "search"}, eval_dataset=None)


def test_controls_stand_beside_the_criterion_at_its_budget(make_trainer):
    _, record = run(make_trainer, {"keep": 0.5, "criterion": "joint_information"})
    baselines = record.pruning_steps[0].baselines
    assert baselines["rows"] == 64
    names = ["joint_information", "mutual_information", "magnitude", "std_times_norm", "taylor", "random"]
    assert list(baselines["one_shot"]) == names
    used = baselines["one_shot"]["joint_information"]
    after = record.validation["after_pruning"]
    assert used["accuracy"] == pytest.approx(after["accuracy"]) and used["loss"] == pytest.approx(
        after["loss"], abs=1e-5
    )
    assert baselines["one_shot"]["random"]["accuracy_std"] >= 0


def test_least_squares_costs_less_right_after_pruning(make_trainer):
    losses = {}
    for reconstruction in ("none", "least_squares"):
        _, record = run(make_trainer, {"keep": 0.25, "reconstruction": reconstruction, "criterion": "magnitude"})
        losses[reconstruction] = (
            record.validation["after_pruning"]["loss"] - record.validation["before_pruning"]["loss"]
        )
    assert losses["least_squares"] < losses["none"]


def test_dropout_is_for_training_only(make_trainer, tmp_path, tokens):
    trainer, record = run(make_trainer, {"keep": 0.5, "action": "dropout", "dropout_rate": 0.4})
    model = trainer.model.eval()
    for name, layer in model.masked_layers().items():
        assert layer.mask.all()
        expected = torch.where(record.selection.kept[name], 0.0, 0.4)
        assert torch.equal(layer.drop_rate, expected)
    assert record.validation["after_pruning"] == record.validation["before_pruning"]

    layer, inputs = model.classifier.layers[0], torch.randn(1, 16).expand(20000, 16)
    with torch.no_grad():
        whole = layer(inputs)[0]
        layer.train()
        dropped = layer(inputs)
    rate = (dropped == 0).float().mean(0)[whole != 0]
    assert torch.allclose(rate, layer.drop_rate[whole != 0], atol=0.02)
    assert torch.allclose(dropped.mean(0), whole, atol=0.05 * float(whole.max()))  # inverted scaling keeps the mean

    model.save_pretrained(tmp_path / "saved")
    loaded = MIDropoutAlbertForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert loaded.classifier.layers[0].mi_dropout
    assert torch.equal(loaded.classifier.layers[0].drop_rate, layer.drop_rate)
    assert torch.equal(loaded.eval()(tokens).logits, model.eval()(tokens).logits)


def test_graded_dropout_falls_with_the_bits(make_trainer):
    trainer, record = run(make_trainer, {"keep": 0.5, "action": "dropout", "graded": True})
    for name, layer in trainer.model.masked_layers().items():
        bits, threshold = record.before.layers[name].bits, record.selection.threshold[name]
        expected = (0.5 * (1 - bits / threshold)).clamp(min=0).masked_fill(record.selection.kept[name], 0)
        assert torch.allclose(layer.drop_rate.double(), expected, atol=1e-6)
        assert 0 < layer.drop_rate.max() <= 0.5


def test_reinitialize_draws_the_weak_neurons_anew(make_trainer):
    snapshot = Snapshot()
    trainer, record = run(make_trainer, {"keep": 0.5, "action": "reinitialize"}, [snapshot])
    for index, (name, layer) in enumerate(trainer.model.masked_layers().items()):
        kept = record.selection.kept[name]
        drawn, before = snapshot.weights[4][index], snapshot.weights[3][index]
        assert layer.mask.all()
        assert 0.005 < drawn[~kept].std() < 0.015
        assert drawn[kept].std() > 0.05
        assert not torch.allclose(drawn[~kept], before[~kept], atol=0.05)
        # the optimizer had forgotten them: since then they were moved by four steps' gradients only
        assert (layer.dense.weight[~kept] - drawn[~kept]).abs().max() <= 4 * 1e-2 * 1.2


def test_rounds_reach_the_budget_step_by_step(make_trainer):
    trainer, record = run(make_trainer, {"start": 2, "keep": 0.25, "pruning_steps": 3})
    assert [each.step for each in record.pruning_steps] == [2, 4, 6]
    kept = [[count for count, _ in each.selection.widths.values()] for each in record.pruning_steps]
    assert kept == [[8, 5, 4], [5, 3, 2], [3, 2, 2]]
    for earlier, later in zip(record.pruning_steps, record.pruning_steps[1:], strict=False):
        for name, mask in later.selection.kept.items():
            assert not (mask & ~earlier.selection.kept[name]).any()
            assert (later.scores.layers[name].bits[~earlier.selection.kept[name]] == 0).all()
    assert trainer.model.compact().config.head_widths == [3, 2, 2]
    assert [layer.kept for layer in record.layers()] == [3, 2, 2]


def test_rounds_need_steps(make_trainer):
    with pytest.raises(ValueError, match="pruning_steps=5: only 4 steps are left after step 4"):
        run(make_trainer, {"keep": 0.25, "pruning_steps": 5})


def test_learning_rate_starts_again(make_trainer):
    plain, restarted = Snapshot(), Snapshot()
    run(make_trainer, {}, [plain])
    run(make_trainer, {"rewind_learning_rate": True}, [restarted])
    assert list(plain.rates.values()) == sorted(plain.rates.values(), reverse=True)
    rates = [restarted.rates[step] for step in range(1, 9)]
    assert rates[:4] == [plain.rates[step] for step in range(1, 5)]
    assert rates[4:] == pytest.approx([1e-2, 0.75e-2, 0.5e-2, 0.25e-2])


def test_a_schedule_that_is_no_function_of_the_step_is_refused(make_trainer):
    with pytest.raises(ValueError, match="ReduceLROnPlateau is not a function of the step"):
        run(
            make_trainer,
            {"rewind_learning_rate": True},
            lr_scheduler_type="reduce_lr_on_plateau",
            eval_strategy="epoch",
        )


def test_streams_train_and_score(make_trainer, learned_model):
    train, valid = make_rows(128, seed=2).to_iterable_dataset(), make_rows(64, seed=3).to_iterable_dataset()
    trainer, record = run(
        make_trainer,
        {"threshold": "search", "margin": 0.2, "score_samples": 100},
        train_dataset=train,
        eval_dataset=valid,
        model=learned_model,
    )
    assert trainer.state.global_step == 8
    assert record.before.num_samples == 100 and record.validation["rows"] == 64
    assert record.selection is not None


@pytest.mark.parametrize(
    ("config", "message"),
    [({"score_samples": None}, "a stream may not end"), ({"start": "1 epochs"}, "have no length")],
)
def test_what_streams_cannot(make_trainer, config, message):
    with pytest.raises(ValueError, match=message):
        run(make_trainer, config, train_dataset=make_rows(128, seed=2).to_iterable_dataset())
