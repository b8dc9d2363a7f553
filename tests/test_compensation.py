import copy

import pytest
import torch
from conftest import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_midropout.compensation import Compensation
from hf_midropout.modeling_midropout_albert import MIDropoutHead
from hf_midropout.moments import Moments


def make_head(seed: int = 0, **options) -> MIDropoutHead:
    torch.manual_seed(seed)
    head = MIDropoutHead(tiny_config(**options)).eval()
    for layer in head.layers:
        torch.nn.init.kaiming_normal_(layer.dense.weight)
    return head


def pruned(head, kept, refit=None):
    head = copy.deepcopy(head)
    if refit:
        refit.apply(head)
    for layer, mask in zip(head.layers, kept, strict=True):
        layer.mask.copy_(mask)
    return head


def masks(head, fraction: float, seed: int = 0) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    chosen = [torch.rand(layer.mask.numel(), generator=generator) < fraction for layer in head.layers]
    for mask in chosen:
        mask[0] = True
    return chosen


@pytest.fixture
def rows():
    """Of four dimensions, so that neurons tell of each other."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(500, 4, generator=generator) @ torch.randn(4, tiny_config().hidden_size, generator=generator)


@torch.no_grad()
def test_moments_are_those_of_all_rows_at_once(rows):
    head = make_head()
    whole, chunked = Moments.of_head(head, rows), Moments.of_head(head, rows + 0.0, chunk=64)
    first = head.layers[0](rows).double()
    assert torch.allclose(whole.means[0], first.mean(0))
    assert torch.allclose(whole.covariances[0], first.t().cov(correction=0), atol=1e-9)
    for a, b in zip(whole.covariances + whole.means, chunked.covariances + chunked.means, strict=True):
        assert torch.allclose(a, b, atol=1e-9)


@torch.no_grad()
def test_a_copied_neuron_costs_nothing(rows):
    """Least squares hands the weights of a dropped copy to the one that is kept."""
    head = make_head(head_widths=[8, 4])
    head.layers[0].dense.weight[1] = 2 * head.layers[0].dense.weight[0]
    head.layers[0].dense.bias[1] = 2 * head.layers[0].dense.bias[0]
    kept = [torch.arange(8) != 1, torch.ones(4, dtype=torch.bool)]
    moments = Moments.of_head(head, rows)
    refit = Compensation(head, moments, "least_squares", ridge=1e-9).refit(kept)
    assert torch.allclose(pruned(head, kept, refit)(rows), head(rows), atol=1e-5)
    assert not torch.allclose(pruned(head, kept)(rows), head(rows), atol=1e-2)


@torch.no_grad()
def test_mean_keeps_the_next_layers_mean(rows):
    head = make_head()
    kept = [masks(head, 0.5)[0], *(torch.ones_like(layer.mask) for layer in list(head.layers)[1:])]
    refit = Compensation(head, Moments.of_head(head, rows), "mean").refit(kept)
    after = pruned(head, kept, refit)
    dense, small = (each.layers[1].dense(each.layers[0](rows)).mean(0) for each in (head, after))
    assert torch.allclose(dense, small, atol=1e-5)
    assert torch.equal(after.layers[1].dense.weight[:, kept[0]], head.layers[1].dense.weight[:, kept[0]])


@torch.no_grad()
def test_least_squares_beats_the_mean_and_nothing(rows):
    head = make_head(head_widths=[32, 24, 16])
    kept = masks(head, 0.5)
    moments = Moments.of_head(head, rows)
    errors = {}
    for kind in ("none", "mean", "least_squares"):
        refit = None if kind == "none" else Compensation(head, moments, kind).refit(kept)
        errors[kind] = float((pruned(head, kept, refit)(rows) - head(rows)).square().mean())
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
    head = make_head(seed)
    if dead:
        head.layers[0].dense.bias.fill_(-1e9)
    inputs = torch.randn(num_rows, head.layers[0].dense.in_features) * scale
    refit = Compensation(head, Moments.of_head(head, inputs), "least_squares").refit(masks(head, 0.4, seed))
    for values in refit.weights + refit.biases:
        assert values.isfinite().all()
        assert values.abs().max() < 1e9 * 10
