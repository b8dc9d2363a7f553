"""Many seeds at once give what each gives alone, for every method, whatever it draws, drops or refits."""

import copy

import pytest
import torch
from conftest import tiny_config
from torch.nn.functional import cross_entropy

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.study.methods import METHODS
from hf_midropout.study.new_head import make_head
from hf_midropout.study.schedule import Schedule
from hf_midropout.study.stacked import StackedHeads
from hf_midropout.study.training import evaluate, head_loss, train_heads


SCHEDULE = Schedule(rows=60, steps=8, batch_size=16, evaluations=4, head_widths=(8, 6))


# One of each kind of layer and action by default; the others draw as these do.
FIRST = ("dropout", "info_drop", "drop_mi", "mi_graded", "joint_reinitialize")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FIRST else pytest.mark.slow) for name in METHODS]
)
def test_each_seed_is_as_if_alone(name, study_features):
    method = METHODS[name]
    setting = list(method.settings())[-2]
    together = train_heads(
        method,
        setting,
        SCHEDULE,
        [3, 4, 5],
        study_features.train,
        study_features.validation,
        study_features.test,
        True,
    )
    (alone,) = train_heads(
        method, setting, SCHEDULE, [4], study_features.train, study_features.validation, study_features.test, True
    )
    assert alone == together[1]
    assert together[0].curve != together[1].curve
    assert [point["step"] for point in alone.curve] == [2, 4, 6, 8]
    if method.pruning is None:
        assert alone.kept is None
    else:
        assert alone.kept == [round(setting.value * width) for width in SCHEDULE.head_widths]


def test_it_is_plain_training(study_features):
    """Adam on the mean cross-entropy of the rows that a seed draws, in the order that it draws."""
    method, rows = METHODS["none"], study_features.train
    setting = next(method.settings())
    (outcome,) = train_heads(method, setting, SCHEDULE, [7], rows, study_features.validation)
    head = make_head(method, setting, SCHEDULE, rows, 3, 7)
    optimizer = torch.optim.Adam(head.parameters(), lr=setting.learning_rate)
    chosen = torch.randperm(120, generator=torch.Generator().manual_seed(7))[:60]
    generator = torch.Generator().manual_seed(7 + 1_000_003)
    order = torch.cat([torch.randperm(60, generator=generator) for _ in range(3)])
    for step in range(8):
        optimizer.param_groups[0]["lr"] = setting.learning_rate * (1 - step / 8)
        index = chosen[order[16 * step : 16 * step + 16]]
        loss = cross_entropy(head(rows.hidden_states[index]), rows.labels[index])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    found = study_features.validation.metrics(head.eval())
    assert {key: outcome.curve[-1][key] for key in found} == pytest.approx(found, abs=1e-5)


def test_a_head_is_drawn_as_a_models(study_features):
    """Also what its regularizer learns."""
    schedule = Schedule(60, 8, 16, head_widths=(200, 300))
    method = METHODS["information"]
    head = make_head(method, next(method.settings()), schedule, study_features.train, 3, 0)
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification(
        tiny_config(hidden_size=10, head_widths=[200, 300], head_regularizer="information")
    )
    expected = model.classifier.state_dict()
    assert head.state_dict().keys() == expected.keys()
    for name, tensor in head.state_dict().items():
        if name.endswith("weight"):
            assert float(tensor.std()) == pytest.approx(float(expected[name].std()), rel=0.1), name
        else:
            assert torch.equal(tensor, expected[name]), name


def test_the_schedule():
    assert [SCHEDULE.learning_rate(step, rewind=False) for step in (0, 4)] == [1, 0.5]
    assert [SCHEDULE.learning_rate(step, rewind=True) for step in (0, 2, 4, 6)] == [1, 0.5, 1, 0.5]


def test_budgets_are_equal():
    assert {len(list(method.settings())) for name, method in METHODS.items() if name != "none_two_rates"} == {6}
    assert set(METHODS["none_two_rates"].learning_rates) == set(METHODS["mi_prune"].learning_rates)


def test_a_pruned_neuron_stays_away(study_features):
    method = METHODS["mi_prune"]
    setting = list(method.settings())[-1]
    (outcome,) = train_heads(
        method, setting, SCHEDULE, [1], study_features.train, study_features.validation, study_features.test, True
    )
    assert outcome.kept == [2, 2]
    bits = outcome.bits
    assert bits["before_kept"] == pytest.approx([max(b, 0) for b in bits["before_kept"]])
    assert all(kept > every for kept, every in zip(bits["before_kept"], bits["before"], strict=True))
    # masked neurons carry nothing: the mean over all is that over those left, times their share
    for every, kept, share in zip(bits["end"], bits["end_unmasked"], (2 / 8, 2 / 6), strict=True):
        assert every == pytest.approx(kept * share)


def test_the_loss_of_multi_sample_is_the_mean_of_its_samples(study_features):
    method = METHODS["multi_sample"]
    head = make_head(method, next(method.settings()), SCHEDULE, study_features.train, 3, 0)
    rows = study_features.train
    torch.manual_seed(0)
    loss = head_loss(head, rows.hidden_states, rows.labels)
    torch.manual_seed(0)
    logits, penalty = head.regularized(rows.hidden_states)
    assert penalty is None and len(logits) == 8
    torch.testing.assert_close(loss, torch.stack([cross_entropy(each, rows.labels) for each in logits]).mean())


def test_more_rows_than_there_are(study_features):
    with pytest.raises(ValueError, match="500 rows: the training split has 120"):
        train_heads(METHODS["none"], None, Schedule(500, 2, 4), [0], study_features.train, study_features.validation)


def test_stacked_heads_are_the_heads(study_features):
    method = METHODS["none"]
    heads = [make_head(method, next(method.settings()), SCHEDULE, study_features.train, 3, seed) for seed in range(3)]
    stacked = StackedHeads(heads)
    for found, head in zip(evaluate(stacked, study_features.test), heads, strict=True):
        assert found == pytest.approx(study_features.test.metrics(copy.deepcopy(head).eval()), abs=1e-5)
    changed = stacked.head(1)
    changed.layers[0].mask[2] = False
    changed.out_proj.weight.data.zero_()
    stacked.put(1, changed)
    assert not stacked.head(1).out_proj.weight.any() and not stacked.head(1).layers[0].mask[2]
    assert torch.equal(stacked.head(2).out_proj.weight, heads[2].out_proj.weight)
    assert heads[1].out_proj.weight.any()
