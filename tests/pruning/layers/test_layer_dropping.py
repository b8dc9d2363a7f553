"""Which layers go, and what is left refitted to stand for them."""

import copy

import pytest
import torch
from encoders import ARCHITECTURES, bits_lost, rows, tiny_classifier
from transformers import AutoModelForSequenceClassification

from hf_midropout.groups import drop_layers, find_groups
from hf_midropout.pruning.encoder.one_shot import measure_encoder
from hf_midropout.pruning.layers.choice import choose_layers
from hf_midropout.pruning.layers.dropping import keep_layers, reconstruct_layers, record_calls
from hf_midropout.pruning.layers.spans import DenseSpans, SpanCalls, span_ends


def logits(model, batches) -> torch.Tensor:
    inputs = [
        {name: value for name, value in batch.items() if name != "labels"} for _, batch in batches.of_process(0, 1)
    ]
    with torch.no_grad():
        return torch.cat([model(**each).logits for each in inputs])


FIRST = ("albert", "bert", "modernbert")


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in FIRST else pytest.mark.slow) for kind in ARCHITECTURES]
)
def test_the_refit_makes_up_for_most_of_a_dropped_layer(kind, number, tmp_path):
    model, batches = tiny_classifier(kind), rows(48, 16)
    before, alone = logits(model, batches), copy.deepcopy(model)
    result = keep_layers(model, batches, number)
    drop_layers(alone, result.kept)
    without = bits_lost(before, logits(alone, batches))
    assert len(result.kept) == model.config.num_hidden_layers == number and len(result.costs) == 3 - number
    assert result.costs[-1][1] == pytest.approx(without, abs=1e-6)  # what is told is what is lost
    assert bits_lost(before, logits(model, batches)) < 0.6 * without
    assert set(result.unexplained) == set(find_groups(model, "encoder"))
    model.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    assert torch.allclose(logits(loaded, batches), logits(model, batches), atol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "modernbert", "albert"])
def test_layers_that_compute_nothing_go_first_and_cost_nothing(kind):
    model, batches = tiny_classifier(kind), rows(32)
    group = list(find_groups(model, "encoder").values())[1]
    layer = model.get_submodule(group.layer)
    with torch.no_grad():
        if kind == "modernbert":
            for linear in (layer.attn.Wo, layer.mlp.Wo):
                linear.weight.zero_()
        else:  # a layer norm of what a layer norm gave is the same
            for name, parameter in layer.named_parameters():
                if not name.lower().endswith("norm.weight"):
                    parameter.zero_()
    before = logits(model, batches)
    result = keep_layers(model, batches, 2)
    assert result.kept == [0, 2] and result.costs[0][0] == [1]
    assert result.costs[0][1] < 1e-6 and bits_lost(before, logits(model, batches)) < 1e-3


def test_the_cheapest_layer_goes_first_and_the_model_is_left_alone():
    model, batches = tiny_classifier("bert"), rows(64)
    before = logits(model, batches)
    choice = choose_layers(model, batches, 2, rows=64)
    assert torch.equal(before, logits(model, batches))
    lost = {}
    for layer in range(3):
        smaller = copy.deepcopy(model)
        drop_layers(smaller, [each for each in range(3) if each != layer])
        lost[layer] = bits_lost(before, logits(smaller, batches))
    assert choice.costs == [([min(lost, key=lost.get)], pytest.approx(min(lost.values())))]


def test_keeping_all_changes_nothing():
    model, batches = tiny_classifier("bert"), rows(16)
    before = copy.deepcopy(model.state_dict())
    result = keep_layers(model, batches, 3)
    assert (result.kept, result.costs, result.unexplained) == ([0, 1, 2], [], {})
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert str(result) == "Layers: 3 -> 3."


def test_a_network_that_lost_nothing_is_refitted_to_itself():
    """With every layer kept the target of each is what it gives already."""
    model, batches = tiny_classifier("roberta"), rows(16)
    same = copy.deepcopy(model)
    reconstruct_layers(model, same, [0, 1, 2], batches)
    assert torch.allclose(logits(model, batches), logits(same, batches), atol=1e-4)


def test_applications_that_remain_of_a_shared_layer_are_spread_evenly():
    model = tiny_classifier("albert-shared")
    model.config.num_hidden_layers = 6
    choice = choose_layers(model, rows(16), 3)
    assert choice.kept == [0, 2, 4] and [layers for layers, _ in choice.costs] == [[5], [4], [3]]
    assert model.config.num_hidden_layers == 6


class Calls:
    """Stands for the calls of five layers on one batch."""

    order = ("a", "b", "c", "d", "e")
    inputs = (torch.zeros(1),)


def test_each_kept_layer_stands_for_all_up_to_the_next():
    spans = SpanCalls(Calls(), [1, 2], ["x", "y"])
    assert spans.spans == [range(2), range(2, 5)]
    assert span_ends(spans) == {"x": "b", "y": "e"}


def test_names_of_the_shallower_network_lead_to_the_dense_one():
    dense = torch.nn.ModuleDict({"1": torch.nn.Linear(1, 1), "10": torch.nn.Linear(1, 2), "2": torch.nn.ReLU()})
    view = DenseSpans(dense, {"0": "10", "1": "2"})
    assert view.get_submodule("0") is dense["10"] and view.get_submodule("1") is dense["2"]
    assert list(view.parameters()) == [] and view.get_submodule("10") is dense["10"]


@pytest.mark.parametrize("kind", ["bert", "modernbert", "albert-shared"])
def test_the_tokens_that_count_are_those_of_the_full_measurement(kind):
    model, batches = tiny_classifier(kind), rows(16)
    groups = find_groups(model, "encoder")
    _, tokens = record_calls(model, groups, batches)
    expected = measure_encoder(model, batches).tokens
    for name in groups:
        for one, other in zip(tokens[name], expected[name], strict=True):
            assert torch.equal(one > 0, other > 0)
    assert all(parameter.requires_grad for parameter in model.parameters())
