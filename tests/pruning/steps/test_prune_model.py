import copy
from dataclasses import replace

import pytest
import torch
from conftest import make_rows
from encoders import rows, tiny_classifier, tiny_config
from transformers import AutoModelForTokenClassification

from hf_midropout import MIDropoutCallback, MIDropoutConfig, prune
from hf_midropout.scoring.batches import batches_for


@pytest.fixture
def trained(make_trainer):
    trainer = make_trainer()
    trainer.train()
    return trainer.model.eval()


def test_prune_equals_the_callback_at_the_last_step(make_trainer, train_rows, valid_rows):
    """The callback is a thin layer over the same function."""
    config = MIDropoutConfig(keep=0.5)
    plain = make_trainer(max_steps=7, lr_scheduler_type="constant")
    plain.train()
    result = prune(plain.model, train_rows, valid_rows, config, batch_size=32, progress=False)
    callback = MIDropoutCallback(replace(config, start=7))
    trainer = make_trainer([callback], lr_scheduler_type="constant")
    trainer.train()
    (done,) = callback.record.pruning_steps
    assert {name: mask.tolist() for name, mask in done.selection.kept.items()} == {
        name: mask.tolist() for name, mask in result.selection.kept.items()
    }
    for name, layer in done.scores.layers.items():
        assert torch.equal(layer.bits, result.scores.layers[name].bits)
    assert done.validation == result.validation and done.baselines == result.baselines
    assert plain.model.compact().config.head_widths == [6, 4, 3]


def test_searches_on_validation_rows(trained, train_rows, valid_rows):
    with pytest.raises(ValueError, match="give an eval_dataset|validation"):
        prune(trained, train_rows, config=MIDropoutConfig(threshold="search"))
    dense = copy.deepcopy(trained)
    result = prune(trained, train_rows, valid_rows, MIDropoutConfig(threshold="search", margin=0.3), progress=False)
    assert result.sweep is not None or result.refused
    if result.selection is None:
        assert torch.equal(trained.classifier.layers[0].dense.weight, dense.classifier.layers[0].dense.weight)


def test_batches_are_taken_as_they_are(trained, train_rows):
    batches = batches_for(trained, train_rows, 16)
    result = prune(trained, batches, config=MIDropoutConfig(keep=0.5), progress=False)
    assert result.scores.num_samples == 128 and result.validation == {} and result.baselines is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"config": MIDropoutConfig(pruning_steps=2)},
            "pruning_steps=2: without training in between there is one",
        ),
        ({"config": MIDropoutConfig(rewind_learning_rate=True)}, "rewind_learning_rate=True has no effect without a"),
        ({"config": MIDropoutConfig(distill=0.5)}, "distill=0.5 has no effect without a training"),
        ({"config": MIDropoutConfig(threshold=1.6)}, r"log2\(3\)"),
        ({"train": make_rows(20, 1).select([])}, "empty"),
        ({"train": make_rows(20, 1).remove_columns("labels")}, "no labels"),
    ],
)
def test_mistakes_are_found_before_any_change(trained, train_rows, changes, message):
    before = copy.deepcopy(trained.state_dict())
    with pytest.raises(ValueError, match=message):
        prune(trained, **{"train": train_rows, "progress": False, **changes})
    for name, tensor in trained.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_other_models_than_classifiers_of_texts_are_refused():
    config, batches = tiny_config("bert"), rows(16)
    for model, message in (
        (AutoModelForTokenClassification.from_config(config), r"gives logits of shape \(8, \d+, 3\); must be a seq"),
        (tiny_classifier("bert"), "gives NaN or infinite logits"),
    ):
        model.classifier.bias.data[0] = torch.nan
        with pytest.raises(ValueError, match=message):
            prune(model, batches, batches, {"targets": "encoder"}, progress=False)


def test_twice_is_refused(trained, train_rows):
    prune(trained, train_rows, progress=False)
    with pytest.raises(ValueError, match=r"already has dropped neurons: start from its compact\(\) form"):
        prune(trained, train_rows, progress=False)
    prune(trained.compact(), train_rows, progress=False)
