import copy

import pytest
import torch
from conftest import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_midropout.groups import find_groups
from hf_midropout.information.moments import moments_by_group
from hf_midropout.models.modeling_midropout import MIDropoutHead
from hf_midropout.pruning.head.network import HeadNetwork
from hf_midropout.pruning.head.reconstruction import Reconstruction


def make_network(seed: int = 0, **options) -> HeadNetwork:
    torch.manual_seed(seed)
    head = MIDropoutHead(tiny_config(**options)).eval()
    for layer in head.layers:
        torch.nn.init.kaiming_normal_(layer.dense.weight)
    return HeadNetwork(head)


def pruned(network, kept, refit=None):
    network = copy.deepcopy(network)
    if refit:
        refit.apply(network, network.groups)
    for name, layer in network.masked_layers().items():
        layer.mask.copy_(kept[name])
    return network


def masks(network, fraction: float, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    chosen = {
        name: torch.rand(group.num_units, generator=generator) < fraction for name, group in network.groups.items()
    }
    for mask in chosen.values():
        mask[0] = True
    return chosen


def moments_of(network, rows, chunk: int = 4096):
    return moments_by_group(network.units(part) for part in rows.split(chunk))


def reconstruction(network, rows, kind: str, **options) -> Reconstruction:
    return Reconstruction(network, network.groups, moments_of(network, rows), kind, **options)


@pytest.fixture
def rows():
    """Of four dimensions, so that neurons tell of each other."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(500, 4, generator=generator) @ torch.randn(4, tiny_config().hidden_size, generator=generator)


FIRST, SECOND = "classifier.layers.0", "classifier.layers.1"


@torch.no_grad()
def test_moments_are_those_of_all_rows_at_once(rows):
    network = make_network()
    whole, chunked = moments_of(network, rows), moments_of(network, rows, chunk=64)
    first = network.classifier.layers[0](rows).double()
    assert torch.allclose(whole[FIRST].mean, first.mean(0))
    assert torch.allclose(whole[FIRST].covariance, first.t().cov(correction=0), atol=1e-9)
    assert list(whole) == list(chunked) == list(find_groups(network))
    for name, moments in whole.items():
        assert torch.allclose(moments.mean, chunked[name].mean, atol=1e-9)
        assert torch.allclose(moments.covariance, chunked[name].covariance, atol=1e-9)


@torch.no_grad()
def test_a_copied_neuron_costs_nothing(rows):
    """Least squares hands the weights of a dropped copy to the one that is kept."""
    network = make_network(head_widths=[8, 4])
    dense = network.classifier.layers[0].dense
    dense.weight[1] = 2 * dense.weight[0]
    dense.bias[1] = 2 * dense.bias[0]
    kept = {FIRST: torch.arange(8) != 1, SECOND: torch.ones(4, dtype=torch.bool)}
    refit = reconstruction(network, rows, "least_squares", ridge=1e-9).refit(kept)
    assert torch.allclose(pruned(network, kept, refit)(rows), network(rows), atol=1e-5)
    assert not torch.allclose(pruned(network, kept)(rows), network(rows), atol=1e-2)


@torch.no_grad()
def test_mean_keeps_the_next_layers_mean(rows):
    network = make_network()
    kept = {name: torch.ones(group.num_units, dtype=torch.bool) for name, group in network.groups.items()}
    kept[FIRST] = masks(network, 0.5)[FIRST]
    after = pruned(network, kept, reconstruction(network, rows, "mean").refit(kept))
    heads = network.classifier, after.classifier
    dense, small = (each.layers[1].dense(each.layers[0](rows)).mean(0) for each in heads)
    assert torch.allclose(dense, small, atol=1e-5)
    left, right = (each.layers[1].dense.weight[:, kept[FIRST]] for each in heads)
    assert torch.equal(left, right)


@torch.no_grad()
def test_least_squares_beats_the_mean_and_nothing(rows):
    network = make_network(head_widths=[32, 24, 16])
    kept = masks(network, 0.5)
    errors = {}
    for kind in ("none", "mean", "least_squares"):
        refit = None if kind == "none" else reconstruction(network, rows, kind).refit(kept)
        errors[kind] = float((pruned(network, kept, refit)(rows) - network(rows)).square().mean())
    assert errors["least_squares"] < 0.7 * min(errors["mean"], errors["none"])


@settings(max_examples=25)
@given(
    num_rows=st.sampled_from([1, 2, 5, 40]),
    seed=st.integers(0, 3),
    dead=st.booleans(),
    scale=st.sampled_from([0.0, 1.0, 1e4]),
)
@torch.no_grad()
def test_degenerate_rows_stay_finite(num_rows, seed, dead, scale):
    """Fewer rows than neurons, constant rows, neurons that never fire."""
    network = make_network(seed)
    first = network.classifier.layers[0].dense
    if dead:
        first.bias.fill_(-1e9)
    inputs = torch.randn(num_rows, first.in_features) * scale
    refit = reconstruction(network, inputs, "least_squares").refit(masks(network, 0.4, seed))
    for values in [*refit.weights.values(), *refit.biases.values()]:
        assert values.isfinite().all()
        assert values.abs().max() < 1e9 * 10
