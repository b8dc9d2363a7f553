import copy

import pytest
import torch

from hf_midropout.information.moments import moments_by_group
from hf_midropout.metrics.classification import metrics
from hf_midropout.pruning.head.apply import apply_selection
from hf_midropout.pruning.head.inputs import HeadInputs
from hf_midropout.pruning.head.network import HeadNetwork
from hf_midropout.pruning.head.reconstruction import Reconstruction
from hf_midropout.pruning.head.search import level_logits, sweep
from hf_midropout.pruning.selection import nested_selections


@pytest.fixture
def case(tiny_model):
    """A head, rows whose labels it mostly gets right, and every nested mask by a made-up importance."""
    generator = torch.Generator().manual_seed(0)
    model = tiny_model.eval()
    hidden_states = torch.randn(300, model.config.hidden_size, generator=generator)
    with torch.no_grad():
        labels = model.classifier(hidden_states).argmax(1)
    labels[:30] = (labels[:30] + 1) % model.config.num_labels
    importance = {
        name: torch.rand(layer.mask.numel(), generator=generator, dtype=torch.float64)
        for name, layer in model.masked_layers().items()
    }
    return model, HeadInputs(hidden_states, labels), importance


def masked_logits(model, level, rows, refit=None):
    pruned = copy.deepcopy(model)
    if refit:
        network = HeadNetwork(pruned.classifier)
        refit.apply(network, network.groups)
    apply_selection(pruned, level)
    with torch.no_grad():
        return pruned.classifier(rows.hidden_states)


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("refitted", [False, True])
def test_every_level_equals_the_masked_head(case, scope, refitted):
    model, rows, importance = case
    network, levels = HeadNetwork(model.classifier), nested_selections(importance, scope)[::-1]
    refits = None
    if refitted:
        moments = moments_by_group([network.units(rows.hidden_states)])
        reconstruction = Reconstruction(network, network.groups, moments, "mean")
        refits = [reconstruction.refit(level.kept) for level in levels]
    assert len(levels) >= 11
    for number, logits in enumerate(level_logits(network, rows.hidden_states, levels, refits)):
        expected = masked_logits(model, levels[number], rows, refits[number] if refits else None)
        assert torch.allclose(logits, expected, atol=1e-5)


def test_levels_in_any_order(case):
    model, rows, importance = case
    levels = nested_selections(importance, "layer")  # from the least pruned: sums cannot grow, they start anew
    for level, logits in zip(
        levels, level_logits(HeadNetwork(model.classifier), rows.hidden_states, levels), strict=True
    ):
        assert torch.allclose(logits, masked_logits(model, level, rows), atol=1e-5)


def test_the_walk_stops_at_the_first_failure(case):
    model, rows, importance = case
    levels = nested_selections(importance, "global")
    result = sweep(HeadNetwork(model.classifier), rows, levels, margin=0.3)
    passed = [row.p_value <= 0.05 for row in result.levels]
    assert passed[: result.chosen + 1] == [True] * (result.chosen + 1)
    assert not passed[result.chosen + 1]
    assert [sum(row.kept.values()) for row in result.levels] == sorted(
        (sum(row.kept.values()) for row in result.levels), reverse=True
    )
    chosen = result.levels[result.chosen]
    assert chosen.accuracy == metrics(masked_logits(model, levels[result.chosen], rows), rows.labels)["accuracy"]
    assert chosen.difference == pytest.approx(result.dense["accuracy"] - chosen.accuracy)


def test_wider_margins_prune_no_less(case):
    model, rows, importance = case
    levels = nested_selections(importance, "layer")
    found = [
        sweep(HeadNetwork(model.classifier), rows, levels, margin=margin).chosen for margin in (0.02, 0.1, 0.3, 0.9)
    ]
    chosen = [-1 if number is None else number for number in found]
    assert chosen == sorted(chosen) and chosen[-1] > chosen[0]


def test_too_few_rows_choose_nothing(case):
    model, rows, importance = case
    few = HeadInputs(rows.hidden_states[:8], rows.labels[:8])
    level = nested_selections(importance, "layer")[-1:]  # one neuron a layer
    assert sweep(HeadNetwork(model.classifier), few, level, margin=0.01).chosen is None
