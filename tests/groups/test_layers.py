"""Dropping whole layers: what is left is a stock model of fewer layers."""

import copy
import re

import pytest
import torch
from encoders import ARCHITECTURES, rows, tiny_classifier
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
)

from hf_midropout.groups import drop_layers, find_groups
from hf_midropout.groups.dropping import only_layers
from hf_midropout.groups.layers import check_number, encoder_layers


SIZES = {"vocab_size": 60, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 24, "embedding_size": 8}


def albert(layers: int, groups: int, inner: int = 1):
    torch.manual_seed(0)
    model = AlbertForSequenceClassification(
        AlbertConfig(num_hidden_layers=layers, num_hidden_groups=groups, inner_group_num=inner, **SIZES)
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.3)
    return model.eval()


@pytest.fixture(scope="module")
def inputs():
    _, batch = next(iter(rows(8).of_process(0, 1)))
    return {name: value for name, value in batch.items() if name != "labels"}


def logits(model, inputs) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs).logits


def hidden_states(model, inputs) -> list[torch.Tensor]:
    """What each layer reads, then what the last one gives."""
    with torch.no_grad():
        return list(model(**inputs, output_hidden_states=True).hidden_states)


@pytest.mark.parametrize("kind", [kind for kind in ARCHITECTURES if kind != "albert-shared"])
@pytest.mark.parametrize("kept", [[0, 2], [0]])
def test_what_is_left_computes_as_before_and_loads_in_stock_classes(kind, kept, inputs, tmp_path):
    model = tiny_classifier(kind)
    before, smaller = logits(model, inputs), copy.deepcopy(model)
    drop_layers(smaller, kept)
    assert smaller.config.num_hidden_layers == encoder_layers(smaller).number == len(kept)
    layers = [str(group.layer) for group in find_groups(model, "encoder").values()]
    left = [str(group.layer) for group in find_groups(smaller, "encoder").values()]
    for old, new in zip([layers[index] for index in kept], left, strict=True):
        state = model.get_submodule(old).state_dict()
        assert all(torch.equal(state[name], value) for name, value in smaller.get_submodule(new).state_dict().items())
    for number, layer in enumerate(left):
        indices = {getattr(module, "layer_idx", number) for module in smaller.get_submodule(layer).modules()}
        assert indices <= {number, None}
    # Up to the first gap the same numbers flow as before.
    assert torch.equal(hidden_states(smaller, inputs)[0], hidden_states(model, inputs)[0])
    smaller.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.allclose(logits(loaded, inputs), logits(smaller, inputs), atol=1e-5)
    with only_layers(model, kept):
        assert torch.equal(logits(model, inputs), logits(smaller, inputs))
        assert not torch.allclose(logits(model, inputs), before, atol=1e-3)
    assert torch.equal(logits(model, inputs), before) and model.config.num_hidden_layers == 3


def test_modernbert_keeps_what_kind_of_attention_a_layer_has():
    model = tiny_classifier("modernbert")
    assert model.config.layer_types == ["full_attention", "sliding_attention", "full_attention"]
    drop_layers(model, [0, 1])
    assert model.config.layer_types == ["full_attention", "sliding_attention"]
    assert [layer.attention_type for layer in model.model.layers] == model.config.layer_types


def test_a_shared_layer_is_applied_less_often(inputs, tmp_path):
    model = albert(6, 1)
    expected = hidden_states(model, inputs)[4]
    drop_layers(model, [0, 2, 3, 5])
    assert (model.config.num_hidden_layers, model.config.num_hidden_groups) == (4, 1)
    assert torch.equal(hidden_states(model, inputs)[4], expected)


def test_a_group_goes_with_all_its_applications(inputs, tmp_path):
    model = albert(6, 3)
    assert encoder_layers(model).units == [(0, 1), (2, 3), (4, 5)]
    drop_layers(model, [0, 1, 4, 5])
    assert (model.config.num_hidden_layers, model.config.num_hidden_groups) == (4, 2)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.allclose(logits(loaded, inputs), logits(model, inputs), atol=1e-5)
    with pytest.raises(ValueError, match=re.escape("layers [0, 1] share weights: keep all of them or none")):
        drop_layers(model, [0, 2, 3])


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ([], "must be one or more different layers of 0 to 2"),
        ([0, 3], "must be one or more different layers of 0 to 2"),
        ([1, 1], "must be one or more different layers of 0 to 2"),
        ([-1], "must be one or more different layers of 0 to 2"),
    ],
)
def test_layers_that_there_are_not(kept, message):
    model = tiny_classifier("bert")
    with pytest.raises(ValueError, match=message):
        drop_layers(model, kept)
    assert len(model.bert.encoder.layer) == model.config.num_hidden_layers == 3


@pytest.mark.parametrize("kind", ["modernbert", "deberta-v2"])
def test_a_first_layer_that_differs_stays(kind):
    model = tiny_classifier(kind)
    if kind == "deberta-v2":  # as in its largest models
        model.deberta.encoder.conv = torch.nn.Identity()
    with pytest.raises(ValueError, match="layer 0 of .* differs from others: keep it"):
        drop_layers(model, [1, 2])
    assert encoder_layers(model).units == [(1,), (2,)]


@pytest.mark.parametrize(
    ("model", "number", "message"),
    [
        (lambda: tiny_classifier("bert"), 0, "keep_layers=0: the encoder has 3 layers; must be 1 to 3"),
        (lambda: tiny_classifier("distilbert"), 4, "keep_layers=4: the encoder has 3 layers; must be 1 to 3"),
        (lambda: albert(6, 3), 3, "3 groups of 2 layers that share weights; must be a multiple of 2"),
        (lambda: albert(5, 2), 2, "num_hidden_layers=5 is not a multiple of num_hidden_groups=2"),
        (lambda: albert(4, 1, inner=2), 2, "inner_group_num=2: layers of an ALBERT with several inner layers"),
        (lambda: GPT2ForSequenceClassification(GPT2Config(n_layer=2, n_embd=8, n_head=2, vocab_size=60)), 1,
         "model_type='gpt2' has no row in"),
    ],
)  # fmt: skip
def test_numbers_that_a_model_cannot_be_cut_to(model, number, message):
    with pytest.raises(ValueError, match=message):
        check_number(model(), number)
