import copy

import pytest
import torch
from encoders import ARCHITECTURES, bits_lost, rows, tiny_classifier

from hf_midropout.groups import find_groups, gate_units
from hf_midropout.pruning.encoder.layer_calls import LayerCalls
from hf_midropout.pruning.encoder.one_shot import Budget, measure_encoder, prune_encoder, prune_with


def logits(model, batches) -> torch.Tensor:
    with torch.no_grad():
        return torch.cat(
            [
                model(**{name: value for name, value in batch.items() if name != "labels"}).logits
                for _, batch in batches.of_process(0, 1)
            ]
        )


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """By architecture: the dense model, the pruned one, what was done, the rows, and where the pruned one is saved."""
    folder, made = tmp_path_factory.mktemp("encoders"), {}
    for kind in ARCHITECTURES:
        model, batches = tiny_classifier(kind), rows(64)
        dense = copy.deepcopy(model)
        result = prune_encoder(model, batches, keep=0.5)
        model.save_pretrained(folder / kind)
        made[kind] = dense, model, result, batches, folder / kind
    return made


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_half_of_the_neurons_go_and_reconstruction_makes_up_for_most_of_it(pruned, kind):
    dense, model, result, batches, _ = pruned[kind]
    before = logits(dense, batches)
    groups = find_groups(dense, "encoder")
    assert result.selection.widths == dict.fromkeys(groups, (32, 64))
    with gate_units(dense, groups, result.selection.kept):
        masked = logits(dense, batches)
    assert bits_lost(before, logits(model, batches)) < 0.5 * bits_lost(before, masked)
    # Of what there was to make good before the first round, also where a shared layer is fitted several times.
    # In rows that the fit has not seen; of those that it has seen there are too few for less than 1.
    assert list(result.unexplained) == list(groups) and min(result.unexplained.values()) > 0


def test_stock_transformers_loads_them_with_nothing_of_ours(pruned, tmp_path, run_stock):
    expected = {kind: logits(model, batches) for kind, (_, model, _, batches, _) in pruned.items()}
    inputs = {kind: [batch for _, batch in batches.of_process(0, 1)] for kind, (_, _, _, batches, _) in pruned.items()}
    torch.save((expected, inputs), tmp_path / "expected.pt")
    code = """
import sys, torch
from transformers import AutoModelForSequenceClassification
expected, inputs = torch.load(sys.argv[2])
for kind, logits in expected.items():
    model = AutoModelForSequenceClassification.from_pretrained(f"{sys.argv[1]}/{kind}")
    with torch.no_grad():
        got = torch.cat([model(**{n: v for n, v in batch.items() if n != "labels"}).logits for batch in inputs[kind]])
    assert torch.equal(got, logits), (kind, (got - logits).abs().max())
"""
    folder = next(iter(pruned.values()))[-1].parent
    run_stock(code, folder, tmp_path / "expected.pt")


def test_the_same_rows_give_the_same_network(pruned):
    dense, model, _, batches, _ = pruned["bert"]
    again = copy.deepcopy(dense)
    prune_encoder(again, batches, keep=0.5)
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))


def test_networks_pruned_side_by_side_are_those_pruned_alone():
    model, batches = tiny_classifier("bert"), rows(64)
    evidence = measure_encoder(model, batches)
    before = logits(model, batches)
    budgets = {
        f"{criterion}/{keep}": Budget(criterion, keep)
        for criterion in ("prediction_information", "random")
        for keep in (0.25, 0.75)
    }
    networks = {name: copy.deepcopy(model) for name in budgets}
    results = prune_with(evidence, budgets, networks)
    lost = {name: bits_lost(before, logits(network, batches)) for name, network in networks.items()}
    assert lost["prediction_information/0.75"] < lost["prediction_information/0.25"] < lost["random/0.25"]
    assert torch.equal(before, logits(model, batches))  # the dense network is as it was
    alone = copy.deepcopy(model)
    result = prune_encoder(alone, batches, 0.25)
    assert torch.equal(logits(alone, batches), logits(networks["prediction_information/0.25"], batches))
    assert result.unexplained == results["prediction_information/0.25"].unexplained


def test_gradients_and_modes_are_left_as_they_were():
    model, batches = tiny_classifier("bert").train(), rows(16)
    model.bert.embeddings.word_embeddings.weight.requires_grad_(False)
    measure_encoder(model, batches)
    assert model.training and not model.bert.embeddings.word_embeddings.weight.requires_grad
    assert model.classifier.weight.requires_grad and all(p.grad is None for p in model.parameters())


def test_only_tokens_that_reach_the_prediction_count():
    evidence = measure_encoder(tiny_classifier("bert"), rows(16))
    first, last = evidence.tokens["encoder.layer.0.ffn"][0], evidence.tokens["encoder.layer.2.ffn"][0]
    assert (first > 0).sum(1).min() >= 5
    assert (last > 0).sum(1).tolist() == [1] * len(last) and last[:, 0].all()


def test_the_fisher_information_predicts_the_bits_of_a_small_change():
    model, batches = tiny_classifier("bert"), rows(64)
    before, evidence = logits(model, batches), measure_encoder(model, batches)
    name = "encoder.layer.1.ffn"
    consumer = model.get_submodule(evidence.groups[name].consumer)
    direction = torch.randn(32, generator=torch.Generator().manual_seed(0)) * 0.02
    with torch.no_grad():
        consumer.bias += direction
    real = bits_lost(before, logits(model, batches))
    # Of a constant shift of all tokens the sum of a row's gradients matters: more than of the mean of their squares.
    assert real > 0
    tokens = evidence.sums[name].tokens / len(before)
    expected = float(direction.double() @ evidence.of(name).output_fisher @ direction.double()) * tokens / (2 * 0.6931)
    assert real / expected < tokens and real / expected > 1 / tokens


def test_derivatives_by_the_mask_of_a_shared_layer_are_sums_over_its_applications():
    """Autograd by a mask on each neuron: of the log-likelihood of labels, weighted by the prediction; of the loss."""
    model, batches = tiny_classifier("albert-shared"), rows(8, 1)
    evidence = measure_encoder(model, batches, criteria=["mask_fisher"])
    (group,) = evidence.groups.values()
    fisher, taylor = torch.zeros(group.num_units), torch.zeros(group.num_units)
    for _, row in batches.of_process(0, 1):
        mask = torch.ones(group.num_units, requires_grad=True)
        hook = model.get_submodule(group.consumer).register_forward_pre_hook(
            lambda _, args, mask=mask: (args[0] * mask,)
        )
        (logs,) = model(**{name: value for name, value in row.items() if name != "labels"}).logits.log_softmax(-1)
        hook.remove()
        each = [torch.autograd.grad(log, mask, retain_graph=True)[0] for log in logs]
        fisher += sum(log.exp().detach() * gradient.square() for log, gradient in zip(logs, each, strict=True))
        taylor += each[row["labels"]].abs()
    statistics = evidence.of(group.name)
    assert group.num_calls == 3
    assert torch.allclose(statistics.mask_fisher.float(), fisher / 8, rtol=1e-3)
    assert torch.allclose(statistics.taylor.float(), taylor / 8, rtol=1e-3)


def test_a_model_that_is_certain_of_everything_is_told():
    model = tiny_classifier("bert")
    model.classifier.weight.data *= 1e4
    with pytest.raises(ValueError, match="so certain of its prediction on each of 16 rows"):
        measure_encoder(model, rows(16))


def test_a_row_whose_tokens_are_all_hidden_is_no_error():
    batches = rows(16)
    batches.dataset[3]["input_ids"] = torch.zeros(0, dtype=torch.long)
    assert measure_encoder(tiny_classifier("bert"), batches).of("encoder.layer.0.ffn").bits.isfinite().all()


def test_something_between_two_layers_is_refused():
    model, batches = tiny_classifier("bert"), rows(8)
    layers = [group.layer for group in find_groups(model, "encoder").values()]
    model.bert.encoder.layer[0].register_forward_hook(lambda module, args, output: output)
    LayerCalls(model, layers).record(next(iter(batches.of_process(0, 1)))[1])
    calls = LayerCalls(model, [layers[0], layers[2]])
    with pytest.raises(ValueError, match="changes the hidden states between .*layer.0 and .*layer.2"):
        calls.record(next(iter(batches.of_process(0, 1)))[1])
