import logging

import pytest
import torch
from conftest import make_rows

from hf_midropout import MIDropoutCallback, MIDropoutConfig
from hf_midropout.pruning.decision import check_search
from hf_midropout.pruning.head_evaluation import HeadInputs
from hf_midropout.pruning.selection import NothingToSelect


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
