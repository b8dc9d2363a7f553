import copy
import json
import logging

import pytest
import torch
from conftest import drop, tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModel,
    AutoModelForSequenceClassification,
    pipeline,
)

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutAlbertModel


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


def test_compact_keeps_what_is_no_weight(tiny_model):
    drop(tiny_model, layer0=[0, 3])
    model = tiny_model.train()
    model.albert.requires_grad_(False)
    model.classifier.layers[1].dense.bias.requires_grad_(False)
    model.albert.eval()
    model.classifier.out_proj.to(torch.bfloat16)
    model.set_attn_implementation("eager")
    model.add_model_tags(["mine"])
    model.name_or_path = "me/tiny"
    model.config.problem_type = "single_label_classification"
    compact = model.compact()
    of = {name: (parameter.requires_grad, parameter.dtype) for name, parameter in model.named_parameters()}
    assert {name: (each.requires_grad, each.dtype) for name, each in compact.named_parameters()} == of
    assert sum(flag for flag, _ in of.values()) == 7
    modes = {name: module.training for name, module in model.named_modules()}
    assert {name: module.training for name, module in compact.named_modules()} == modes
    assert not modes["albert.encoder"] and modes["classifier.layers.0"]
    assert compact.config._attn_implementation == "eager" and compact.config.problem_type == model.config.problem_type
    assert compact.model_tags == ["mine"] and compact.name_or_path == "me/tiny"
    compact.add_model_tags(["more"])
    assert model.model_tags == ["mine"]


def test_a_frozen_encoder_stays_frozen_in_training_the_compact_model(tiny_model, make_trainer):
    tiny_model.albert.requires_grad_(False)
    compact = tiny_model.compact()
    trainer = make_trainer(model=compact, max_steps=2)
    trainer.train()
    for name, tensor in tiny_model.albert.state_dict().items():
        assert torch.equal(compact.albert.state_dict()[name], tensor), name
    assert not torch.equal(compact.classifier.out_proj.weight, tiny_model.classifier.out_proj.weight)


class QuantisedLinear(torch.nn.Module):
    """What libraries for quantisation put in place of a linear layer: integers and a scale, of other names."""

    def __init__(self, linear):
        super().__init__()
        self.register_buffer("scale", linear.weight.abs().max() / 127)
        self.register_buffer("qweight", (linear.weight / self.scale).round().to(torch.int8))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("how", ["dynamic", "stub of the head", "stub of the encoder", "int8 weight"])
def test_compact_refuses_quantised_weights(tiny_model, how):
    drop(tiny_model, layer0=[0])
    if how == "dynamic":
        tiny_model = torch.ao.quantization.quantize_dynamic(tiny_model, {torch.nn.Linear}, dtype=torch.qint8)
    elif how == "stub of the head":
        tiny_model.classifier.layers[1].dense = QuantisedLinear(tiny_model.classifier.layers[1].dense)
    elif how == "stub of the encoder":
        tiny_model.albert.pooler = QuantisedLinear(tiny_model.albert.pooler)
    else:
        dense = tiny_model.classifier.layers[0].dense
        dense.weight = torch.nn.Parameter(dense.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(ValueError, match="quantised or changed.*Compact the model before"):
        tiny_model.compact()


def turn_on_mi_dropout(model, rate=0.5):
    for layer in model.classifier.layers:
        layer.drop_rate[0], layer.mi_dropout = rate, True
    model.config.mi_dropout = True
    return model


def flags(model) -> list[bool]:
    return [model.config.mi_dropout, *(layer.mi_dropout for layer in model.classifier.layers)]


@pytest.mark.filterwarnings("ignore:for .* meta parameter")
def test_mi_dropout_follows_the_weights_that_are_loaded(tiny_model):
    """The Trainer restores a state dict and nothing else."""
    on = turn_on_mi_dropout(copy.deepcopy(tiny_model))
    off = tiny_model.state_dict()
    fresh = copy.deepcopy(tiny_model)
    fresh.load_state_dict(on.state_dict())
    assert flags(fresh) == [True] * 4
    fresh.load_state_dict(off)
    assert flags(fresh) == [False] * 4
    # a shard with the rates of one layer
    fresh.load_state_dict({"classifier.layers.2.drop_rate": torch.full((6,), 0.1)}, strict=False)
    assert flags(fresh) == [True] * 4
    # the head by itself; whoever copies or pickles the model keeps the hook
    other = copy.deepcopy(tiny_model)
    other.classifier.load_state_dict(on.classifier.state_dict(), assign=True)
    assert flags(other)[1:] == [True] * 3
    with torch.device("meta"):
        empty = type(tiny_model)(tiny_config())
    empty.load_state_dict(on.state_dict(), strict=False)  # copies nothing
    assert flags(empty) == [False] * 4
    empty.load_state_dict(on.state_dict(), strict=False, assign=True)
    assert flags(empty) == [True] * 4


@pytest.mark.parametrize("active", [True, False])
def test_mi_dropout_follows_the_weights_against_the_config(tiny_model, tmp_path, active):
    model = turn_on_mi_dropout(tiny_model) if active else tiny_model
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["mi_dropout"] == active
    (tmp_path / "config.json").write_text(json.dumps(config | {"mi_dropout": not active}))
    loaded = MIDropoutAlbertForSequenceClassification.from_pretrained(tmp_path)
    assert flags(loaded) == [active] * 4
    loaded, info = AutoModelForSequenceClassification.from_pretrained(tmp_path, output_loading_info=True)
    assert flags(loaded) == [active] * 4 and not info["missing_keys"]
    loaded.save_pretrained(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text())["mi_dropout"] == active


def test_compact_keeps_mi_dropout(tiny_model):
    drop(turn_on_mi_dropout(tiny_model), layer0=[3])
    assert flags(tiny_model.compact()) == [True] * 4


def test_training_without_mi_dropout_draws_no_random_numbers(tiny_model, tokens):
    tiny_model.train()
    for module in tiny_model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    tiny_model.load_state_dict(tiny_model.state_dict())
    state = torch.get_rng_state()
    tiny_model(tokens)
    assert torch.equal(state, torch.get_rng_state())
    turn_on_mi_dropout(tiny_model)(tokens)
    assert not torch.equal(state, torch.get_rng_state())


def test_auto_model_is_the_encoder_of_a_classifier(tiny_model, tokens, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)  # to caplog
    drop(tiny_model, layer0=[1])
    tiny_model.compact().save_pretrained(tmp_path / "compact")
    with caplog.at_level(logging.WARNING):
        encoder, info = AutoModel.from_pretrained(tmp_path / "compact", output_loading_info=True)
    assert type(encoder) is MIDropoutAlbertModel and not caplog.records
    assert not info["missing_keys"] and not info["unexpected_keys"]
    with torch.no_grad():
        expected = tiny_model.albert(tokens)
        assert torch.equal(encoder(tokens).pooler_output, expected.pooler_output)
    encoder.save_pretrained(tmp_path / "encoder")
    again = MIDropoutAlbertForSequenceClassification.from_pretrained(tmp_path / "encoder")
    with torch.no_grad():
        assert torch.equal(again.albert(tokens).last_hidden_state, expected.last_hidden_state)
    assert all(layer.mask.all() for layer in again.classifier.layers)


def test_feature_extraction_pipeline(folder):
    features = pipeline("feature-extraction", model=str(folder))("opens a socket", return_tensors=True)
    assert features.shape[-1] == 16


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
