import json
import logging

import pytest
import torch
from conftest import make_rows

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning.head.decision import Decision, check_search
from hf_midropout.pruning.head.inputs import HeadInputs
from hf_midropout.pruning.head.reconstruction import Refit
from hf_midropout.pruning.head.search import Sweep, SweepRow
from hf_midropout.pruning.selection import NothingToSelect, Selection


def run(make_trainer, config: dict, **arguments):
    callback = MIDropoutCallback(MIDropoutConfig(**{"start": 4, "threshold": "search", **config}))
    trainer = make_trainer([callback], **arguments)
    trainer.train()
    return trainer, callback.record


def test_a_search_with_too_few_rows_drops_nothing(make_trainer, caplog):
    with caplog.at_level(logging.WARNING):
        trainer, record = run(make_trainer, {}, eval_dataset=make_rows(40, seed=3))
    assert trainer.state.global_step == 8
    assert record.selection is None and all(layer.mask.all() for layer in trainer.model.classifier.layers)
    assert "40 validation rows cannot show" in record.refused and "needs 299 rows or more" in record.refused
    assert record.refused in caplog.text


def test_a_search_at_chance_drops_nothing(make_trainer):
    """Labels that have nothing to do with the text: any pruning is as good as none, and none is evidence."""
    train, valid = make_rows(128, seed=2, noise=1), make_rows(40, seed=4, noise=1)
    trainer, record = run(make_trainer, {"margin": 0.2}, train_dataset=train, eval_dataset=valid)
    assert record.selection is None and all(layer.mask.all() for layer in trainer.model.classifier.layers)
    assert "not shown to be better than one that ignores the text. On 40 validation rows" in record.refused
    assert "a later `start`" in record.refused


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
def test_a_network_that_always_says_one_class_is_not_searched(tiny_model, metric):
    head = tiny_model.classifier
    with torch.no_grad():
        head.out_proj.weight.zero_()
        head.out_proj.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    labels = torch.tensor([0] * 270 + [1] * 20 + [2] * 10)
    config = MIDropoutConfig(threshold="search", metric=metric)
    with pytest.raises(NothingToSelect, match=f"{metric} is .* against .* by chance"):
        check_search(config, head, HeadInputs(torch.randn(300, 16), labels))


def test_a_decision_is_whole_after_its_journey():
    kept = {"a": torch.tensor([True, False]), "b": torch.tensor([True])}
    row = SweepRow({"a": 0.5, "b": 0.1}, {"a": 1, "b": 1}, 0.9, 0.8, 0.3, 0.01, 0.02, 0.03)
    decision = Decision(
        importance={"a": torch.tensor([0.1 + 0.2, -torch.inf], dtype=torch.float64), "b": torch.zeros(1).double()},
        selection=Selection(kept, {"a": 0.1 + 0.2, "b": 0.0}),
        refit=Refit({"a": torch.randn(3, 2), "b": torch.randn(2, 1)}, {"a": torch.randn(3), "b": torch.randn(2)}),
        sweep=Sweep("accuracy", 0.01, 0.05, 100, {"accuracy": 0.9}, [row], 0),
        baselines={"rows": 100, "one_shot": {"random": {"accuracy": 0.5, "accuracy_std": 0.1}}},
    )
    received = Decision.received(json.loads(json.dumps(decision.content())), decision.tensors())
    assert (received.sweep, received.baselines, received.refused) == (decision.sweep, decision.baselines, None)
    assert received.selection.threshold == decision.selection.threshold
    assert received.tensors().keys() == decision.tensors().keys()
    assert all(torch.equal(received.tensors()[name], each) for name, each in decision.tensors().items())
    refused = Decision.received(Decision(refused="all equal").content(), {})
    assert vars(refused) == vars(Decision(refused="all equal"))
