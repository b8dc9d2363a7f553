"""A fine-tuning by each method: the same start for all, files that are whole, and what the callback recorded."""

import json

import pytest
import torch

from hf_midropout.data.datasets import load_text_classification
from hf_midropout.study import fine_tuning
from hf_midropout.study.encoder import load_encoder
from hf_midropout.study.fine_tuning import FineTunings, callback_config
from hf_midropout.study.methods import METHODS
from hf_midropout.study.outcome import Outcome
from hf_midropout.study.schedule import Schedule


SCHEDULE = Schedule(rows=40, steps=6, batch_size=8, evaluations=6, head_widths=(8, 6))


@pytest.fixture(scope="module")
def splits(study_encoder, data_folder):
    data = load_text_classification(str(data_folder))
    tokenizer, _ = load_encoder(str(study_encoder))
    return data.tokenize(tokenizer, 8), len(data.label_names)


@pytest.fixture
def trainings(study_encoder, splits, tmp_path):
    return FineTunings(str(study_encoder), splits[0], splits[1], "0123456789abcdef", tmp_path / "trainings")


def outcomes(trainings, name, seeds=(0,), compared=True):
    method = METHODS[name]
    return trainings.train(method, method.middle(), SCHEDULE, seeds, compared)


def test_methods_part_in_the_middle(trainings):
    """Until then a seed has one training: the same head, rows and order."""
    (none,), (pruned,), (random,) = (outcomes(trainings, name) for name in ("none", "mi_prune", "random_prune"))
    assert [point["step"] for point in none.curve] == [1, 2, 3, 4, 5, 6]
    assert none.curve[:3] == pruned.curve[:3] == random.curve[:3]
    assert none.curve[-1] != pruned.curve[-1] != random.curve[-1]
    assert none.bits["before"] == pruned.bits["before"]
    assert none.kept is None and pruned.kept == [4, 3]
    assert all(kept >= before for kept, before in zip(pruned.bits["before_kept"], pruned.bits["before"], strict=True))
    assert len(pruned.bits["end_unmasked"]) == 2 and set(none.test) >= {"accuracy", "loss"}


def test_a_seed_is_as_if_alone_and_its_file_is_read(trainings, monkeypatch):
    both = outcomes(trainings, "dropout", (3, 4))
    assert both[0].curve != both[1].curve
    files = sorted(trainings.done.iterdir())
    monkeypatch.setattr(fine_tuning, "Trainer", None)  # what is done is not done again
    assert outcomes(trainings, "dropout", (4,)) == [both[1]]
    assert sorted(trainings.done.iterdir()) == files and len(files) == 2


def test_a_damaged_training_is_made_again(trainings, monkeypatch, caplog):
    monkeypatch.setattr(FineTunings, "fine_tune", lambda self, *rest: Outcome(0, curve=[{"step": 1, "accuracy": 0.5}]))
    (outcome,) = outcomes(trainings, "none")
    (file,) = trainings.done.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[:20], b"", b"[]", b'{"seeds": 1}', b"{}"):
        caplog.clear()
        file.write_bytes(damaged)
        assert outcomes(trainings, "none") == [outcome] and file.read_bytes() == whole
        assert caplog.messages == [f"{file} cannot be read; it is made again."]


def test_a_stop_loses_the_training_under_way_alone(trainings, monkeypatch):
    fine_tune = FineTunings.fine_tune

    def stopped(self, method, setting, schedule, seed, compared):
        if seed == 1:
            raise KeyboardInterrupt
        return fine_tune(self, method, setting, schedule, seed, compared)

    monkeypatch.setattr(FineTunings, "fine_tune", stopped)
    with pytest.raises(KeyboardInterrupt):
        outcomes(trainings, "none", (0, 1))
    (file,) = trainings.done.iterdir()
    assert json.loads(file.read_text())["seed"] == 0


def test_choosing_looks_at_no_test_rows(trainings):
    (outcome,) = outcomes(trainings, "none", compared=False)
    assert outcome.test is None and [point["step"] for point in outcome.curve] == [6]


def test_the_learning_rate_is_the_schedules(trainings, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    outcomes(trainings, "rewound")
    assert rates == pytest.approx([0.001 * SCHEDULE.learning_rate(step, True) for step in range(6)])


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_a_configuration(name):
    method = METHODS[name]
    config = callback_config(method, method.middle(), SCHEDULE, 0)
    assert config.start == 3 and (config.action == "none") == (method.pruning is None)


def test_a_trained_head_is_refused(checkpoint):
    with pytest.raises(ValueError, match="has a MI-Dropout head already; give the encoder that it was made from"):
        load_encoder(str(checkpoint), new_head=True)


def test_more_rows_than_there_are(trainings):
    schedule = Schedule(rows=500, steps=6, batch_size=8)
    with pytest.raises(ValueError, match="500 rows: the training split has 72"):
        trainings.train(METHODS["none"], METHODS["none"].middle(), schedule, [0], True)
