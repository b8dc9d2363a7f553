"""Encoders pruned on a GPU, beside the same on the CPU."""

import copy

import pytest
import torch
from encoders import ARCHITECTURES, bits_lost, rows, tiny_classifier
from transformers import AutoModelForSequenceClassification

from hf_midropout import MIDropoutConfig, prune
from hf_midropout.pruning.comparison.predictions import predict
from hf_midropout.pruning.criteria import ENCODER_CRITERIA
from hf_midropout.pruning.encoder.one_shot import Budget, measure_encoder, prune_encoder, prune_with
from hf_midropout.pruning.layers.dropping import keep_layers
from hf_midropout.scoring.neurons import score_neurons


BATCHES = rows(200)


def logits(model):
    return predict(model, BATCHES).logits


@pytest.mark.parametrize("kind", sorted(ARCHITECTURES))
def test_every_architecture(kind, device, tmp_path):
    """The same neurons, weights within rounding; and what is saved loads with stock transformers on the CPU."""
    dense = tiny_classifier(kind)
    on_cpu, on_gpu = copy.deepcopy(dense), copy.deepcopy(dense).to(device)
    expected, found = prune_encoder(on_cpu, BATCHES, 0.5), prune_encoder(on_gpu, BATCHES, 0.5)
    agreeing = [(mask == found.selection.kept[name]).double().mean() for name, mask in expected.selection.kept.items()]
    assert min(agreeing) > 0.9
    lost_on_cpu, lost_on_gpu = bits_lost(logits(dense), logits(on_cpu)), bits_lost(logits(dense), logits(on_gpu))
    assert lost_on_gpu == pytest.approx(lost_on_cpu, rel=0.2, abs=1e-3)
    on_gpu.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    assert torch.allclose(logits(loaded), logits(on_gpu), atol=1e-3)


@pytest.mark.parametrize("criterion", sorted(ENCODER_CRITERIA))
def test_every_criterion(criterion, device):
    dense = tiny_classifier("bert").to(device)
    evidence = measure_encoder(copy.deepcopy(dense), BATCHES, 0, [criterion])
    network = copy.deepcopy(dense)
    result = prune_with(evidence, {"": Budget(criterion, 0.5)}, {"": network})[""]
    assert all(int(mask.sum()) == 32 for mask in result.selection.kept.values())
    assert bits_lost(logits(dense), logits(network)) < 2


def test_drops_layers(device):
    dense = tiny_classifier("bert").to(device)
    keep_layers(dense, BATCHES, 2)
    assert dense.config.num_hidden_layers == 2 and logits(dense).isfinite().all()


def test_prune_in_one_call(device):
    model = tiny_classifier("roberta").to(device)
    validation = rows(120)
    result = prune(model, BATCHES, validation, MIDropoutConfig(targets="encoder", keep=0.5), progress=False)
    assert result.baselines["one_shot"]["prediction_information"]["bits_lost"] >= 0
    assert next(model.parameters()).device.type == device.type and model.config.intermediate_size == 32


def test_encoder_scores(device):
    """Activations differ in their last bits, and so now and then an order of two rows."""
    model = tiny_classifier("bert")
    expected = score_neurons(copy.deepcopy(model), BATCHES, targets="encoder", progress=False)
    torch.manual_seed(3)
    before = torch.get_rng_state(), torch.cuda.get_rng_state() if device.type == "cuda" else None
    found = score_neurons(model.to(device), BATCHES, targets="encoder", progress=False)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert before[1] is None or torch.equal(torch.cuda.get_rng_state(), before[1])
    for name, layer in expected.layers.items():
        assert (found.layers[name].bits.cpu() - layer.bits).abs().max() < 0.05
        assert (found.layers[name].bits.cpu() - layer.bits).abs().median() < 1e-3
