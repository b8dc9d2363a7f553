import pytest
import torch
from conftest import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AlbertConfig, AlbertForSequenceClassification, AutoModelForSequenceClassification

from hf_midropout import MIDropoutAlbertForSequenceClassification


def drop(model, **neurons):
    """drop(model, layer0=[1, 2]) drops neurons 1 and 2 of the first layer."""
    for layer, indices in neurons.items():
        model.classifier.layers[int(layer[-1])].mask[indices] = False


def test_dropped_neurons_output_exactly_zero_and_get_no_gradient(tiny_model, tokens):
    drop(tiny_model, layer0=[1, 5])
    outputs = []
    tiny_model.classifier.layers[0].register_forward_hook(lambda module, args, output: outputs.append(output))
    tiny_model(tokens, labels=torch.zeros(8, dtype=torch.long)).loss.backward()
    assert (outputs[0][:, [1, 5]] == 0).all()
    assert (tiny_model.classifier.layers[0].dense.weight.grad[[1, 5]] == 0).all()


def test_masks_survive_casts_and_state_dicts(tiny_model):
    drop(tiny_model, layer1=[0])
    half = tiny_model.to(torch.bfloat16)
    assert half.classifier.layers[1].mask.dtype == torch.bool
    assert half.state_dict()["classifier.layers.1.mask"].tolist() == [False] + [True] * 7


def test_loads_from_stock_albert(tmp_path):
    stock = {key: value for key, value in tiny_config().to_dict().items() if hasattr(AlbertConfig(), key)}
    for key in ("model_type", "architectures", "auto_map"):
        stock.pop(key, None)
    AlbertForSequenceClassification(AlbertConfig(**stock)).save_pretrained(tmp_path)
    model = MIDropoutAlbertForSequenceClassification.from_pretrained(tmp_path, head_widths=[4, 3], num_labels=5)
    # Buffers that are missing in a checkpoint come out of `from_pretrained` uninitialised unless the model sees to it.
    assert all(layer.mask.all() for layer in model.masked_layers().values())
    assert [layer.mask.numel() for layer in model.masked_layers().values()] == [4, 3]
    assert model.config.num_labels == 5
    assert torch.equal(model.albert.embeddings.position_ids, torch.arange(16)[None])


@settings(max_examples=15)
@given(data=st.data())
def test_compact_equals_masked(tiny_model_once, tokens, data):
    """Invariant 4, on random inputs and random masks."""
    for layer in tiny_model_once.classifier.layers:
        mask = data.draw(st.lists(st.booleans(), min_size=len(layer.mask), max_size=len(layer.mask)).filter(any))
        layer.mask.copy_(torch.tensor(mask))
    try:
        compact = tiny_model_once.compact()
        assert compact.config.head_widths == [int(layer.mask.sum()) for layer in tiny_model_once.classifier.layers]
        with torch.no_grad():
            difference = (compact(tokens).logits - tiny_model_once(tokens).logits).abs().max()
        assert difference <= 1e-5
    finally:
        for layer in tiny_model_once.classifier.layers:
            layer.mask.fill_(True)


def test_compact_is_independent_and_draws_no_random_numbers(tiny_model):
    drop(tiny_model, layer0=[0])
    state = torch.get_rng_state()
    compact = tiny_model.compact()
    assert torch.equal(state, torch.get_rng_state())
    compact.albert.pooler.weight.data.zero_()
    assert tiny_model.albert.pooler.weight.abs().sum() > 0
    assert tiny_model.config.head_widths == [12, 8, 6]


def test_compact_refuses_an_empty_layer(tiny_model):
    tiny_model.classifier.layers[2].mask.fill_(False)
    with pytest.raises(ValueError, match="classifier.layers.2 keeps 0 of 6"):
        tiny_model.compact()


@pytest.mark.parametrize("form", ["masked", "compact"])
def test_saved_and_loaded_gives_identical_logits(tiny_model, tokens, tmp_path, form):
    """Invariant 5 with the package; `test_without_package.py` is the other half."""
    drop(tiny_model, layer0=[2, 3], layer2=[5])
    model = tiny_model if form == "masked" else tiny_model.compact()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert type(loaded) is MIDropoutAlbertForSequenceClassification
    with torch.no_grad():
        assert torch.equal(loaded(tokens).logits, model(tokens).logits)


def test_only_safetensors_json_and_code_are_saved(tiny_model, tmp_path):
    """Invariant 8."""
    tiny_model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json", ".py"}


def test_gradient_accumulation_does_not_inflate_the_loss(make_trainer):
    # https://github.com/huggingface/transformers/issues/47688
    trainer = make_trainer(max_steps=1, gradient_accumulation_steps=4)
    trainer.train()
    assert trainer.state.log_history[0]["loss"] < 2.5  # log(3) = 1.1 at the start; four times that if it is a sum
