"""Data that cannot be scored or compared on show before training, not hours later at the prune step."""

import logging

import datasets
import pytest
import torch
from conftest import NUM_LABELS, make_rows
from torch.utils.data import DataLoader, IterableDataset
from transformers import Trainer

from hf_midropout import MIDropoutCallback, MIDropoutConfig


def relabelled(rows: datasets.Dataset, labels) -> datasets.Dataset:
    rows = rows.remove_columns("labels")
    return rows if labels is None else rows.add_column("labels", labels)


VALID = make_rows(48, seed=3)
UNUSABLE = {
    "no labels": relabelled(VALID, None),
    "empty": VALID.select([]),
    "a label out of range": relabelled(VALID, [0, 1] * 23 + [0, 9]),
    "all labels hidden": relabelled(VALID, [-100] * 48),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_unusable_validation_rows_are_left_out_with_a_warning(make_trainer, caplog, what):
    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    trainer = make_trainer([callback], eval_dataset=UNUSABLE[what])
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.state.global_step == 8
    assert [layer.kept for layer in callback.record.layers()] == [6, 4, 3]
    assert callback.record.validation == {} and callback.record.pruning_steps[0].baselines is None
    assert caplog.text.count("The validation rows cannot be used") == 1


def test_labels_that_a_transform_makes_are_those_that_count(make_trainer, caplog):
    words = relabelled(VALID, [f"word {label}" for label in VALID["labels"]])
    rows = words.with_transform(lambda batch: {**batch, "labels": [int(each[-1]) for each in batch["labels"]]})
    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    trainer = make_trainer([callback], eval_dataset=rows)
    trainer.train()
    assert "cannot be used" not in caplog.text and callback.record.validation


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_search_on_unusable_rows_is_refused_before_training(make_trainer, what):
    trainer = make_trainer([MIDropoutCallback(MIDropoutConfig(threshold="search"))], eval_dataset=UNUSABLE[what])
    with pytest.raises(ValueError, match="threshold='search' compares networks on validation rows, which cannot be"):
        trainer.train()
    assert trainer.state.global_step == 0


class Failing(torch.utils.data.Dataset):
    """Rows of a torch dataset, which has no columns to look at, one of them bad."""

    def __init__(self, rows, bad):
        self.rows, self.bad = list(rows), bad

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if index == 40:
            if isinstance(self.bad, Exception):
                raise self.bad
            return {**self.rows[index], "labels": self.bad}
        return self.rows[index]


@pytest.mark.parametrize("bad", [9, OSError("the disk is gone")])
def test_what_shows_at_the_prune_step_only_does_not_end_the_training(make_trainer, caplog, bad):
    callback = MIDropoutCallback(MIDropoutConfig(start=4, threshold="search", margin=0.3))
    trainer = make_trainer([callback], eval_dataset=Failing(VALID, bad))
    with caplog.at_level(logging.WARNING):
        trainer.train()
    assert trainer.state.global_step == 8
    assert "could not be read" in callback.record.refused
    assert "The validation rows cannot be used" in caplog.text


def test_labels_under_a_name_of_ones_own(make_trainer):
    class Renamed(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
            labels = inputs.pop("my_label")
            outputs = model(**inputs, labels=labels)
            return (outputs.loss, outputs) if return_outputs else outputs.loss

    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    rows = {"train_dataset": make_rows(128, 2), "eval_dataset": VALID}
    rows = {name: each.rename_column("labels", "my_label") for name, each in rows.items()}
    plain = make_trainer([callback], label_names=["my_label"], **rows)
    trainer = Renamed(plain.model, plain.args, callbacks=[callback], **rows)
    trainer.train()
    assert [layer.kept for layer in callback.record.layers()] == [6, 4, 3]
    assert callback.record.validation["rows"] == 48
    expected = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    make_trainer([expected], eval_dataset=VALID).train()
    assert expected.record.to_dict()["layers"] == callback.record.to_dict()["layers"]


def collate(items):
    return {key: torch.tensor([item[key] for item in items]) for key in ("input_ids", "attention_mask", "labels")}


@pytest.mark.parametrize("kind", ["loader", "stream", "batches"])
def test_dataloaders_of_a_subclass_are_used(make_trainer, kind):
    rows = list(make_rows(128, seed=2))

    class Stream(IterableDataset):
        def __iter__(self):
            return iter(rows)

    class Batches:
        def __iter__(self):
            return iter(collate(rows[first : first + 16]) for first in range(0, 128, 16))

        def __len__(self):
            return 8

    class Own(Trainer):
        def get_train_dataloader(self):
            if kind == "batches":
                return Batches()
            return DataLoader(rows if kind == "loader" else Stream(), batch_size=16, collate_fn=collate)

        def get_eval_dataloader(self, eval_dataset=None):
            return DataLoader(list(VALID), batch_size=12, collate_fn=collate)

    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    plain = make_trainer([callback])
    trainer = Own(plain.model, plain.args, callbacks=[callback])
    trainer.train()
    assert [layer.kept for layer in callback.record.layers()] == [6, 4, 3]
    assert callback.record.before.num_samples == 128
    assert callback.record.validation["rows"] == 48
    assert callback.record.validation["after_retraining"]["loss"] == pytest.approx(
        trainer.evaluate()["eval_loss"], abs=1e-5
    )


def one_shot(kind: str):
    rows = (row for row in make_rows(128, seed=2))
    if kind == "generator":

        class Once(IterableDataset):
            def __iter__(self):
                return rows

        return Once()

    class Held(IterableDataset):
        def __init__(self):
            self.source = rows

        def __iter__(self):
            yield from self.source

    return Held()


@pytest.mark.parametrize("kind", ["generator", "held"])
def test_a_stream_that_can_be_read_only_once_is_refused(make_trainer, kind):
    trainer = make_trainer([MIDropoutCallback(MIDropoutConfig(start=4))], train_dataset=one_shot(kind))
    with pytest.raises(ValueError, match="can be read only once.*starts anew"):
        trainer.train()
    assert trainer.state.global_step == 0
    assert sum(1 for _ in trainer.train_dataset) == 128  # nothing was taken from it


@pytest.mark.parametrize("how", ["dataset", "one of several", "own loader"])
def test_evaluation_rows_that_can_be_read_only_once_are_left_to_the_trainer(make_trainer, caplog, how):
    rows = iter(list(make_rows(64, 3)))

    class Once(IterableDataset):
        def __iter__(self):
            return rows

    once = {"one": Once()} if how == "one of several" else Once()
    callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
    arguments = {"eval_dataset": once, "eval_strategy": "steps", "eval_steps": 8}
    trainer = make_trainer([callback], **arguments)
    if how == "own loader":

        class Own(Trainer):
            def get_eval_dataloader(self, eval_dataset=None):
                return DataLoader(Once(), batch_size=8, collate_fn=collate)

        trainer = Own(trainer.model, trainer.args, train_dataset=trainer.train_dataset, callbacks=[callback],
                      eval_dataset=VALID)  # fmt: skip
    trainer.train()
    assert sum(any(key.endswith("_loss") for key in entry) for entry in trainer.state.log_history) == 2  # + train_loss
    assert [layer.kept for layer in callback.record.layers()] == [6, 4, 3] and callback.record.validation == {}
    assert "evaluation data, a Once, can be read only once" in caplog.text
    with pytest.raises(ValueError, match="threshold='search'.*can be read only once"):
        make_trainer([MIDropoutCallback(MIDropoutConfig(threshold="search"))], eval_dataset=Once()).train()


def test_one_of_several_eval_datasets_is_named(make_trainer, caplog):
    evals = {"small": make_rows(20, seed=5), "large": make_rows(60, seed=6)}
    for name, rows in ((None, 20), ("large", 60)):
        callback = MIDropoutCallback(MIDropoutConfig(start=4, eval_dataset=name))
        with caplog.at_level(logging.INFO, logger="hf_midropout"):
            make_trainer([callback], eval_dataset=evals).train()
        assert callback.record.validation["rows"] == rows
        assert f"Networks are compared on the eval dataset {name or 'small'!r}" in caplog.text
    for datasets_, message in ((evals, "eval_dataset='x'.*'small', 'large'"), (VALID, "one dataset, without names")):
        with pytest.raises(ValueError, match=message):
            make_trainer([MIDropoutCallback(MIDropoutConfig(eval_dataset="x"))], eval_dataset=datasets_).train()


def test_training_rows_that_cannot_be_scored_are_refused_before_training(make_trainer):
    rows = Failing(make_rows(41, seed=2), 0)
    rows.rows = [{**row, "labels": NUM_LABELS} for row in rows.rows]
    with pytest.raises(ValueError, match=r"training rows cannot be scored: .*0\.\.2"):
        make_trainer([MIDropoutCallback()], train_dataset=rows).train()
