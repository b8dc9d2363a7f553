"""Mixed precision and torch.compile."""

import pytest
import torch
from conftest import drop

from hf_midropout import MIDropoutCallback, MIDropoutConfig, score_neurons


def test_bfloat16_training_drops_and_compensates(make_trainer, learned_model):
    callback = MIDropoutCallback(MIDropoutConfig(start=4, threshold="search", margin=0.2))
    trainer = make_trainer([callback], bf16=True, model=learned_model)
    trainer.train()
    record = callback.record
    assert record.selection is not None and record.pruning_steps[0].baselines["one_shot"]
    assert trainer.model.dtype == torch.float32
    assert record.validation["after_retraining"]["loss"] < 2
    compact = trainer.model.compact()
    assert compact.config.head_widths == [kept for kept, _ in record.selection.widths.values()]


def test_compiled_head_has_no_graph_break_and_is_not_compiled_again(tiny_model):
    torch._dynamo.reset()
    model = tiny_model.train()
    compiled = torch.compile(model.classifier, backend="eager", fullgraph=True)  # a graph break would raise
    inputs = torch.randn(4, 16)
    counter = torch._dynamo.testing.CompileCounter()
    counted = torch.compile(model.classifier, backend=counter, fullgraph=True)
    before = counted(inputs)
    drop(model, layer0=[0, 1, 2], layer1=[3])  # in place, as the callback does
    after = counted(inputs)
    assert counter.frame_count == 1
    assert not torch.equal(before, after)
    assert torch.equal(after, model.classifier(inputs))
    assert torch.equal(compiled(inputs), after)


@pytest.mark.slow  # test_scoring_checks.py and the one above compile models
def test_compiled_training_equals_eager_training(make_trainer):
    """The callback acts on the model below the compiled one."""
    masks, losses = [], []
    for compiled in (False, True):
        torch._dynamo.reset()
        callback = MIDropoutCallback(MIDropoutConfig(start=4, keep=0.5))
        trainer = make_trainer([callback], torch_compile=compiled, torch_compile_backend="eager" if compiled else None)
        trainer.train()
        masks.append([layer.mask.tolist() for layer in trainer.model.classifier.layers])
        losses.append(torch.tensor([entry["loss"] for entry in trainer.state.log_history if "loss" in entry]))
    assert masks[0] == masks[1]
    assert torch.allclose(losses[0], losses[1], atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_scores_under_autocast(tiny_model, train_rows, dtype):
    """Half precision moves activations by parts in a thousand, and scores by less than their standard errors."""
    exact = score_neurons(tiny_model, train_rows, progress=False)
    with torch.autocast("cpu", dtype=dtype):
        rounded = score_neurons(tiny_model, train_rows, progress=False)
    for name, layer in exact.layers.items():
        assert not torch.equal(layer.bits, rounded.layers[name].bits)
        assert ((layer.bits - rounded.layers[name].bits).abs() < 2 * layer.stderr + 1e-3).all()
