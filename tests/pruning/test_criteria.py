import pytest
import torch
from encoders import rows, tiny_classifier

from hf_midropout import NeuronScores, score_neurons
from hf_midropout.information import MutualInformation
from hf_midropout.pruning import criteria
from hf_midropout.pruning.criteria import BASELINES, CRITERIA, ENCODER_CRITERIA, criterion, importance
from hf_midropout.pruning.encoder.one_shot import measure_encoder
from hf_midropout.pruning.head.evidence import Evidence
from hf_midropout.pruning.head.inputs import collect_head_inputs
from hf_midropout.pruning.head.network import HeadNetwork
from hf_midropout.scoring.batches import batches_for


@pytest.fixture
def evidence(tiny_model, train_rows):
    scores = score_neurons(tiny_model, train_rows, progress=False)
    inputs = collect_head_inputs(tiny_model, batches_for(tiny_model, train_rows, 32), progress=False)
    return Evidence(scores, HeadNetwork(tiny_model.eval().classifier), inputs)


def test_every_criterion_gives_a_value_for_every_neuron(evidence):
    for name in CRITERIA:
        values = importance(evidence, name)
        assert list(values) == list(evidence.scores.layers)
        assert [len(value) for value in values.values()] == [12, 8, 6]
        assert all(value.isfinite().all() for value in values.values()), name
        for layer, value in importance(evidence, name).items():
            assert torch.equal(value, values[layer]), f"{name} is not the same twice"
    assert set(BASELINES) < set(CRITERIA)


def test_dropped_neurons_come_last(evidence):
    evidence.network.classifier.layers[1].mask[3] = False
    for name in CRITERIA:
        values = importance(evidence, name)["classifier.layers.1"]
        assert values[3] == -torch.inf and values.isfinite().sum() == 7


def test_mutual_information_is_the_scores(evidence):
    for name, values in importance(evidence, "mutual_information").items():
        assert torch.equal(values, evidence.scores.layers[name].bits.double())


@torch.no_grad()
def test_magnitude_and_activation(evidence):
    head = evidence.network.classifier
    head.layers[0].dense.weight[5] = 0
    assert importance(evidence, "magnitude")["classifier.layers.0"].argmin() == 5
    evidence.__dict__.pop("moments", None)
    head.layers[1].dense.weight[:, 7] = 0  # nobody listens to it
    values = importance(evidence, "std_times_norm")["classifier.layers.0"]
    assert values[7] == 0 and values[5] == pytest.approx(0)  # nor to one that never moves


def test_taylor_is_the_change_of_the_loss(evidence):
    """Setting a neuron of little weight to 0 changes each row's loss by about activation times gradient."""
    head, rows = evidence.network.classifier, evidence.inputs
    with torch.no_grad():
        head.layers[2].dense.weight.mul_(1e-3)
        head.layers[2].dense.bias.mul_(1e-3)

        def losses():
            logits = head(rows.hidden_states)
            return torch.nn.functional.cross_entropy(logits, rows.labels, reduction="none")

        dense, change = losses(), []
        for neuron in range(6):
            head.layers[2].mask[neuron] = False
            change.append((losses() - dense).abs().mean())
            head.layers[2].mask[neuron] = True
    assert torch.allclose(
        importance(evidence, "taylor")["classifier.layers.2"].float(), torch.stack(change), rtol=0.02, atol=1e-7
    )


def test_joint_information_passes_over_copies(evidence):
    with torch.no_grad():
        first = evidence.network.classifier.layers[0]
        best = int(importance(evidence, "joint_information")["classifier.layers.0"].argmax())
        other = (best + 1) % 12
        first.dense.weight[other] = first.dense.weight[best]
        first.dense.bias[other] = first.dense.bias[best]
    evidence.__dict__.pop("class_moments")  # of the weights as they were
    values = importance(evidence, "joint_information")["classifier.layers.0"]
    # the copies know the same, yet one of them comes late
    assert values[best] != values[other] and min(values[best], values[other]) <= 6


def test_random_draws_differ_by_seed_only(evidence):
    draws = [
        importance(Evidence(evidence.scores, evidence.network, evidence.inputs, seed), "random") for seed in (0, 0, 1)
    ]
    first = [draw["classifier.layers.0"] for draw in draws]
    assert torch.equal(first[0], first[1]) and not torch.equal(first[0], first[2])


def test_a_new_criterion_is_one_function(evidence):
    @criterion
    def mean_per_weight(statistics):
        return statistics.moments.mean.abs() / statistics.incoming_weight.abs().sum(1)

    try:
        assert len(importance(evidence, "mean_per_weight")["classifier.layers.2"]) == 6
    finally:
        del CRITERIA["mean_per_weight"], ENCODER_CRITERIA["mean_per_weight"]


@pytest.mark.parametrize("needs", ["derivatives", None])
def test_a_criterion_says_what_is_to_be_gathered_for_it(needs, monkeypatch):
    for table in ("CRITERIA", "ENCODER_CRITERIA", "NEEDS"):
        monkeypatch.setattr(criteria, table, dict(getattr(criteria, table)))

    @criterion(needs=needs)
    def change_of_the_loss(statistics):
        return statistics.taylor

    measured = measure_encoder(tiny_classifier("bert"), rows(16), criteria=["change_of_the_loss"])
    if needs:
        assert min(each.min() for each in importance(measured, "change_of_the_loss").values()) > 0
    else:
        with pytest.raises(ValueError, match=r"were not gathered: .* @criterion\(needs='derivatives'\)"):
            importance(measured, "change_of_the_loss")


def test_values_that_are_not_finite_are_refused(evidence):
    broken = {
        name: MutualInformation(layer.bits * torch.nan, layer.stderr, layer.p_value, 1.0, 10)
        for name, layer in evidence.scores.layers.items()
    }
    with pytest.raises(ValueError, match="'mutual_information' gives no finite value for 12 neurons"):
        importance(Evidence(NeuronScores(broken, 3), evidence.network, evidence.inputs), "mutual_information")
