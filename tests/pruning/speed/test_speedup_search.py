"""The width for a speed is found from measured times; here a formula stands for the machine."""

import copy
import itertools

import pytest
import torch
from encoders import ARCHITECTURES, tiny_classifier
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AlbertConfig, AlbertForSequenceClassification

from hf_midropout.groups import find_groups
from hf_midropout.groups.layers import encoder_layers
from hf_midropout.pruning.speed.latency import random_inputs
from hf_midropout.pruning.speed.search import cut_copy, fewer_layers, search_speedup


BERT = tiny_classifier("bert")
ONCE, PER_LAYER, PER_NEURON = 1.0, 4.0, 0.1


def cost(network, _rows=1, _tokens=1):
    """Milliseconds of a pass, were time what is computed: here layers of 4 + 6.4."""
    groups = find_groups(network, "encoder").values()
    return ONCE + sum(group.num_calls * (PER_LAYER + PER_NEURON * group.num_units) for group in groups)


def by_formula(networks, rows, tokens):
    return {name: cost(network) for name, network in networks.items()}


def shape_of(network):
    return network.config.num_hidden_layers, next(iter(find_groups(network, "encoder").values())).num_units


@settings(max_examples=12)
@given(st.floats(1.001, 8))
def test_the_largest_that_reaches_it(wanted):
    dense = cost(BERT)
    speeds = {
        (layers, width): dense / (ONCE + layers * (PER_LAYER + PER_NEURON * width))
        for layers, width in itertools.product((1, 2, 3), range(4, 64, 4))
    }
    if max(speeds.values()) < wanted:
        with pytest.raises(ValueError, match=f"^speedup={wanted:g}: not reached on this machine"):
            search_speedup(BERT, wanted, measure=by_formula)
        return
    found = search_speedup(BERT, wanted, measure=by_formula)
    taken = (found.taken.layers, found.taken.width)
    assert found.taken.speedup == pytest.approx(speeds[taken]) and speeds[taken] >= wanted
    # As many layers as can be with a sixteenth of the neurons, and as many neurons as can be in these.
    assert taken[0] == max(layers for layers in (1, 2, 3) if speeds[layers, 4] >= wanted)
    assert taken[1] == max(width for width in range(4, 64, 4) if speeds[taken[0], width] >= wanted)
    assert shape_of(BERT) == (3, 64)


@settings(max_examples=8)
@given(st.integers(0, 10**6))
def test_noise_is_not_believed(seed):
    noise = torch.Generator().manual_seed(seed)
    measured = []

    def noisy(networks, rows, tokens):
        factor = 1 + 0.2 * (torch.rand(2, generator=noise, dtype=torch.float64) - 0.5)
        times = {
            name: cost(network) * float(each) for each, (name, network) in zip(factor, networks.items(), strict=True)
        }
        measured.append((*shape_of(networks["pruned"]), times["dense"] / times["pruned"]))
        return times

    found = search_speedup(BERT, 1.7, measure=noisy)
    assert [(each.layers, each.width, pytest.approx(each.speedup)) for each in found.tried] == measured
    again = [speed for layers, width, speed in measured if (layers, width) == (found.taken.layers, found.taken.width)]
    assert again[-1] >= 1.7 and (len(again) >= 2 or measured[-2][:2] == (found.taken.layers, found.taken.width + 4))


def test_few_measurements():
    wide = tiny_classifier("bert")
    assert len(search_speedup(wide, 1.5, measure=by_formula).tried) <= 2 + 4  # the least, bisection of 15, the last


def test_with_the_layers_given_any_width_will_do():
    found = search_speedup(BERT, 1.6, layers=2, measure=by_formula)
    assert found.taken.layers == 2 and all(each.layers == 2 for each in found.tried)
    deep = search_speedup(BERT, 2.2, layers=3, measure=by_formula)
    assert (deep.taken.layers, deep.taken.width) == (3, 4)
    with pytest.raises(ValueError, match=r"is 1\.53 times with 4 of 64 neurons in a layer and keep_layers=3\.$"):
        search_speedup(BERT, 3.0, layers=3, measure=lambda networks, rows, tokens: {
            name: cost(network) + 20 for name, network in networks.items()
        })  # fmt: skip


def test_the_most_that_can_be_had_is_told():
    message = (
        r"^speedup=50: not reached on this machine \(batch 8, 20 tokens\); the most that was measured is 2\.27 times "
        r"with 4 of 64 neurons in a layer alone, 5\.96 times with 1 of 3 layers too\.$"
    )
    with pytest.raises(ValueError, match=message):
        search_speedup(BERT, 50, batch_size=8, tokens=20, measure=by_formula)
    for wanted in (1.0, 0.5, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"must be more than 1\."):
            search_speedup(BERT, wanted, measure=by_formula)


def test_it_measures_what_it_is_asked_to_and_on_networks_that_compute():
    asked = []

    def measure(networks, rows, tokens):
        asked.append((rows, tokens))
        for network in networks.values():
            network(**random_inputs([network], rows, tokens))
        return by_formula(networks, rows, tokens)

    search_speedup(BERT, 4.0, batch_size=2, tokens=9, measure=measure)
    assert set(asked) == {(2, 9)}


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_copies_of_every_architecture(kind):
    model = tiny_classifier(kind)
    before = copy.deepcopy(model.state_dict())
    for layers in [3, *fewer_layers(model)]:
        network = cut_copy(model, layers, 8)
        assert (network.config.num_hidden_layers, shape_of(network)[1]) == (layers, 8)
        assert torch.isfinite(network(**random_inputs([network], 2, 9)).logits).all()
    assert fewer_layers(model) == [2, 1]
    assert all(torch.equal(before[name], values) for name, values in model.state_dict().items())


def test_layers_that_go_together_or_not_at_all():
    sizes = {
        "vocab_size": 60,
        "embedding_size": 8,
        "hidden_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }
    pairs = AlbertForSequenceClassification(AlbertConfig(num_hidden_layers=6, num_hidden_groups=3, **sizes))
    assert fewer_layers(pairs) == [4, 2]
    assert [len(encoder_layers(cut_copy(pairs, layers, 8)).modules) for layers in (4, 2)] == [2, 1]
    inner = AlbertForSequenceClassification(AlbertConfig(num_hidden_layers=3, inner_group_num=2, **sizes))
    assert fewer_layers(inner) == []
    assert search_speedup(inner, 1.1, measure=by_formula).taken.layers == 3
    with pytest.raises(ValueError, match=r"times with 2 of 32 neurons in a layer\.$"):
        search_speedup(inner, 50, measure=by_formula)
