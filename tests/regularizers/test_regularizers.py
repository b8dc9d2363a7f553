"""Each layer against its published formula."""

import math

import pytest
import torch
from conftest import tiny_config
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from hf_midropout.regularizers import (
    REGULARIZERS,
    Regularizer,
    check_regularizer,
    default_weight,
    make_regularizers,
    regularizer,
    regularizer_names,
)
from hf_midropout.regularizers.information import ranks


ROWS, K, INPUTS = 4000, 6, 5
ALL = sorted(REGULARIZERS)


def made(name, rate=None, neurons=K, **options):
    kind = REGULARIZERS[name]
    torch.manual_seed(0)
    return kind(INPUTS, neurons, kind.default_rate if rate is None else rate, **options)


def run(layer, neurons, inputs=None, mask=None, consumer=None):
    inputs = torch.randn(len(neurons), INPUTS) if inputs is None else inputs
    mask = torch.ones(neurons.shape[-1], dtype=torch.bool) if mask is None else mask
    return layer(neurons, inputs, mask, consumer or nn.Linear(neurons.shape[-1], 3))


@pytest.mark.parametrize("name", ALL)
def test_identity_in_eval_mode(name):
    layer, neurons, consumer = made(name, weight=1.0).eval(), torch.randn(8, K), nn.Linear(K, 3)
    outputs, penalty = run(layer, neurons, consumer=consumer)
    assert outputs is neurons and penalty is None
    assert torch.equal(layer.read(consumer, neurons), consumer(neurons))


@pytest.mark.parametrize("name", ALL)
def test_gradients_reach_the_neurons_and_what_is_learned(name):
    layer, consumer = made(name, weight=1.0), nn.Linear(K, 3)
    neurons = torch.rand(16, K, requires_grad=True)
    outputs, penalty = run(layer, neurons, consumer=consumer)
    loss = layer.read(consumer, outputs).square().sum()
    (loss if penalty is None else loss + penalty).backward()
    assert neurons.grad.isfinite().all() and neurons.grad.any()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in layer.parameters())
    assert bool(list(layer.parameters())) == (name in ("information", "concrete"))


@pytest.mark.parametrize("rate", [0.2, 0.5])
def test_gaussian_has_the_moments_of_dropout(rate):
    factors = made("gaussian", rate).noise(torch.ones(ROWS, 20))
    assert factors.mean() == pytest.approx(1, abs=0.02)
    assert factors.var() == pytest.approx(rate / (1 - rate), rel=0.03)
    assert (factors < 0).any() or rate < 0.3  # not binary, not clipped


def test_alpha_is_torchs_and_keeps_mean_and_variance():
    neurons = nn.functional.selu(torch.randn(ROWS, 20, generator=torch.Generator().manual_seed(1)))
    layer, theirs = made("alpha", 0.1), nn.AlphaDropout(0.1)
    torch.manual_seed(5)
    expected = theirs(neurons)
    torch.manual_seed(5)
    outputs = layer.noise(neurons)
    assert torch.equal(outputs, expected)
    assert outputs.mean() == pytest.approx(0, abs=0.02) and outputs.var() == pytest.approx(1, abs=0.03)


def test_spatial_draws_one_mask_for_all_tokens_of_a_text():
    outputs = made("spatial_1d", 0.3).noise(torch.ones(500, 7, 20))
    assert torch.equal(outputs, outputs[:, :1].expand_as(outputs))
    assert torch.allclose(outputs[outputs != 0], torch.tensor(1 / 0.7))
    assert (outputs == 0).float().mean() == pytest.approx(0.3, abs=0.02)
    assert made("spatial_1d", 0.3).noise(torch.ones(500, 20)).mean() == pytest.approx(1, abs=0.03)


def test_drop_connect_drops_weights_of_each_row_and_keeps_their_mean():
    layer, consumer = made("drop_connect", 0.4), nn.Linear(K, 3)
    neurons = torch.rand(1, K).expand(20_000, K)
    outputs = layer.read(consumer, neurons)
    assert len(outputs.unique(dim=0)) > 10_000
    assert torch.allclose(outputs.mean(0), consumer(neurons[0]), atol=0.03)
    variance = (consumer.weight**2 @ neurons[0] ** 2 + consumer.bias**2) * 0.4 / 0.6
    assert torch.allclose(outputs.var(0), variance, rtol=0.06)


def test_multi_sample_is_dropout():
    layer = made("multi_sample", 0.3, samples=4)
    outputs = layer.noise(torch.ones(ROWS, 20))
    assert layer.samples == 4 and (outputs == 0).float().mean() == pytest.approx(0.3, abs=0.01)
    assert torch.allclose(outputs[outputs != 0], torch.tensor(1 / 0.7))


def test_information_dropout_is_log_normal_with_a_learned_scale():
    layer, inputs = made("information", 0.7, weight=0.5), torch.randn(1, INPUTS).expand(ROWS, INPUTS)
    mask = torch.ones(K, dtype=torch.bool)
    mask[2] = False
    outputs, penalty = run(layer, torch.ones(ROWS, K), inputs, mask)
    scale = 0.001 + 0.7 * torch.sigmoid(layer.scale(inputs[0]))
    assert torch.allclose(outputs.log().mean(0), torch.zeros(K), atol=0.03)
    assert torch.allclose(outputs.log().std(0), scale, rtol=0.05)
    assert torch.allclose(penalty, 0.5 * -(scale / 0.701).log()[mask].sum())
    with torch.no_grad():
        layer.scale.weight.zero_()
        layer.scale.bias.fill_(100.0)
    assert run(layer, torch.ones(8, K))[1].item() == pytest.approx(0, abs=1e-6)  # all that noise can hide is hidden


def test_info_drop_drops_what_is_like_in_other_rows():
    torch.manual_seed(0)
    neurons = torch.randn(200, 10) + 5
    neurons[:, :3] = 5 + 1e-3 * torch.randn(200, 3)
    outputs, _ = run(made("info_drop", neurons=10), neurons)
    dropped = outputs == 0
    assert dropped[:, :3].float().mean() > 0.9 and dropped[:, 3:].float().mean() < 0.3
    assert torch.equal(outputs[~dropped], neurons[~dropped])  # not scaled


def test_info_drop_of_equal_neurons_is_uniform_and_draws_with_replacement():
    outputs, _ = run(made("info_drop", 1.5, neurons=40), torch.ones(500, 40))
    expected = 1 - (1 - 1 / 40) ** 60
    assert (outputs == 0).float().mean() == pytest.approx(expected, abs=0.01)
    kept = torch.arange(40) < 10  # as many draws as in a layer of 10
    outputs, _ = run(made("info_drop", 1.5, neurons=40), torch.ones(500, 40), mask=kept)
    assert (outputs[:, :10] == 0).float().mean() == pytest.approx(1 - 0.9**15, abs=0.02)


def test_info_drops_probabilities_follow_the_formula():
    layer, neurons = made("info_drop"), torch.randn(7, K)
    mask = torch.tensor([True] * (K - 1) + [False])
    torch.manual_seed(3)
    found = layer.probabilities(neurons, mask)
    torch.manual_seed(3)
    others = torch.randint(7, (7, 9))
    squares = (neurons[:, None, :-1] - neurons[others][..., :-1]).double() ** 2
    similar = torch.exp(-squares / (2 * squares.mean())).mean(1) ** (1 / 0.03)
    assert torch.allclose(found[:, :-1].double(), similar / similar.sum(1, keepdim=True), atol=1e-4)
    assert not found[:, -1].any()


def test_info_drop_is_finite_where_a_row_is_far_from_all():
    neurons = torch.zeros(512, K)
    neurons[0] = 1e4
    assert made("info_drop").probabilities(neurons, torch.ones(K, dtype=torch.bool)).isfinite().all()


def test_drop_mi_keeps_by_rank():
    layer, mask = made("drop_mi", 0.4, neurons=5), torch.ones(5, dtype=torch.bool)
    neurons = torch.ones(20_000, 5)
    assert (layer.noise(neurons) != 0).float().mean() == pytest.approx(0.6, abs=0.01)  # before any bits: dropout
    layer.set_information(torch.tensor([0.3, 0.1, 0.9, 0.2, 0.5]), mask)
    outputs = layer.noise(neurons)
    expected = 1 - 0.8 * (1 - torch.tensor([0.5, 0.0, 1.0, 0.25, 0.75]))
    assert torch.allclose((outputs != 0).float().mean(0), expected, atol=0.02)
    assert torch.allclose(outputs.mean(0), torch.ones(5), atol=0.05)
    layer = made("drop_mi", 0.9, neurons=5)
    layer.set_information(torch.arange(5.0), mask)
    assert layer.noise(neurons).max() <= 10.001


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.data())
def test_ranks(bits, data):
    mask = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(bits), max_size=len(bits))))
    bits = torch.tensor(bits, dtype=torch.float64)
    found, kept = ranks(bits, mask), bits[mask]
    assert ((found >= 0) & (found <= 1)).all() and (found[~mask] == 0.5).all()
    if len(kept):
        assert found[mask].mean() == pytest.approx(0.5)
    order = kept.argsort()
    assert (found[mask][order].diff() >= 0).all()
    assert torch.equal(found[mask][order].diff() > 0, kept[order].diff() > 0)
    assert torch.equal(ranks(bits.expand(3, -1), mask), found.expand(3, -1))


def test_concrete_begins_at_a_tenth_and_is_near_binary():
    layer = made("concrete")
    assert layer.temperature == 0.1 and torch.sigmoid(layer.logit).item() == pytest.approx(0.1)
    outputs, _ = run(layer, torch.ones(ROWS, 20))
    assert (outputs < 0.5 / 0.9).float().mean() == pytest.approx(0.1, abs=0.01)
    assert outputs.max() <= 1 / 0.9 + 1e-5 and outputs.mean().item() == pytest.approx(1, abs=0.02)
    assert ((outputs > 0.1) & (outputs < 1)).float().mean() < 0.12


@settings(max_examples=20)
@given(st.floats(0.05, 0.95), st.integers(1, K))
def test_concretes_penalty_is_the_papers(rate, kept):
    """l² (1 - p) / 2 ||M||² - K H(p), over N: equations 2 to 4."""
    layer, consumer = made("concrete", rate, weight=1 / 50), nn.Linear(K, 3)
    layer.length_scale = 0.7
    mask = torch.arange(K) < kept
    _, penalty = run(layer, torch.ones(4, K), mask=mask, consumer=consumer)
    means = consumer.weight[:, mask] / (1 - rate)
    entropy = -rate * math.log(rate) - (1 - rate) * math.log(1 - rate)
    expected = (0.7**2 * (1 - rate) / 2 * means.square().sum().item() - kept * entropy) / 50
    assert penalty.item() == pytest.approx(expected, rel=1e-3, abs=1e-5)


def test_concretes_rate_is_learned():
    """Noise in a neuron that the loss needs as it is brings the rate down; with nothing to lose it goes to a half."""
    for needed, low, high in ((True, 0.0, 0.1), (False, 0.3, 0.6)):
        layer, consumer = made("concrete", 0.2, weight=1e-3), nn.Linear(K, 3)
        optimizer = torch.optim.Adam(layer.parameters(), 0.05)
        for _ in range(80):
            outputs, penalty = run(layer, torch.ones(64, K), consumer=consumer)
            (penalty + needed * (outputs - 1).square().mean()).backward()
            optimizer.step()
            optimizer.zero_grad()
        assert low < torch.sigmoid(layer.logit).item() < high


@pytest.mark.parametrize(
    ("name", "rate", "weight", "message"),
    [
        ("gausian", None, None, r"head_regularizer='gausian': must be one of none, dropout, alpha, concrete"),
        ("gaussian", 1.0, None, "head_dropout=1.0: must be at least 0 and less than 1 with head_regularizer='gaus"),
        ("dropout", -0.1, None, "head_dropout=-0.1"),
        ("info_drop", float("nan"), None, "head_dropout=nan"),
        ("concrete", 0, None, "must be above 0"),
        ("none", 0.1, None, "head_regularizer='none': leave it out"),
        ("alpha", None, 0.1, "only concrete and information add"),
        ("concrete", None, -1, "head_regularizer_weight=-1: must be"),
    ],
)
def test_bad_values_are_refused(name, rate, weight, message):
    with pytest.raises(ValueError, match=message):
        check_regularizer(name, rate, weight)
    with pytest.raises(Exception, match=message.replace(r"\\", "")):
        tiny_config(head_regularizer=name, head_dropout=rate, head_regularizer_weight=weight)


def test_defaults():
    assert default_weight("information", 3000) == pytest.approx(1e-3) and default_weight("concrete", 500) == 2e-3
    assert default_weight("gaussian", 10) is None and default_weight("none", 10) is None
    layers = make_regularizers(tiny_config(head_regularizer="information"))
    assert [(layer.rate, layer.weight, layer.scale.out_features) for layer in layers] == [
        (0.7, 3e-4, 12), (0.7, 3e-4, 8), (0.7, 3e-4, 6)
    ]  # fmt: skip
    assert make_regularizers(tiny_config()) == make_regularizers(tiny_config(head_regularizer="none")) == []
    assert len(make_regularizers(tiny_config(head_regularizer="spatial_1d"))) == 1


def test_a_new_one_is_a_class():
    @regularizer("halving")
    class Halving(Regularizer):
        def noise(self, neurons):
            return neurons / 2

    try:
        assert "halving" in regularizer_names()
        (layer, *_) = make_regularizers(tiny_config(head_regularizer="halving"))
        assert torch.equal(run(layer, torch.ones(2, 12))[0], torch.full((2, 12), 0.5))
    finally:
        del REGULARIZERS["halving"]
