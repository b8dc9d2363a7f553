import pytest
import torch
from sklearn.metrics import f1_score

from hf_midropout.noninferiority import compare, metric_and_influence, rows_needed


def logits_for(predicted: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.nn.functional.one_hot(predicted, classes).double()


@pytest.fixture
def predictions():
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 3, (4000,), generator=generator)
    wrong = torch.rand(2, 4000, generator=generator) < torch.tensor([[0.10], [0.12]])
    shifted = (labels + 1) % 3
    return labels, logits_for(labels.where(~wrong[0], shifted), 3), logits_for(labels.where(~wrong[1], shifted), 3)


def test_accuracy_is_the_test_of_paired_proportions(predictions):
    labels, dense, pruned = predictions
    right = [logits.argmax(1) == labels for logits in (dense, pruned)]
    lost, gained = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    n = len(labels)
    stderr = (lost + gained - (lost - gained) ** 2 / n) ** 0.5 / n
    result = compare("accuracy", dense, pruned, labels, margin=0.03)
    assert result.difference == pytest.approx((lost - gained) / n)
    assert result.stderr == pytest.approx(stderr)
    passes = (lost - gained) / n + 1.6449 * stderr <= 0.03
    assert (result.p_value <= 0.05) == passes


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
def test_standard_errors_are_those_of_resampled_rows(predictions, metric):
    labels, dense, pruned = predictions
    generator = torch.Generator().manual_seed(1)
    differences = []
    for _ in range(400):
        rows = torch.randint(0, len(labels), (len(labels),), generator=generator)
        differences.append(compare(metric, dense[rows], pruned[rows], labels[rows], 0.01).difference)
    expected = torch.tensor(differences).std()
    assert compare(metric, dense, pruned, labels, 0.01).stderr == pytest.approx(float(expected), rel=0.12)


def test_macro_f1_is_the_usual_one(predictions):
    labels, dense, _ = predictions
    value, _ = metric_and_influence("macro_f1", dense, labels)
    assert value == pytest.approx(f1_score(labels, dense.argmax(1), average="macro"))


def test_worse_by_the_margin_passes_as_often_as_alpha_says():
    generator = torch.Generator().manual_seed(2)
    passed = 0
    for _ in range(1000):
        labels = torch.zeros(2000, dtype=torch.long)
        dense_right = torch.rand(2000, generator=generator) < 0.9
        flip = torch.rand(2000, generator=generator)
        pruned_right = torch.where(dense_right, flip > 0.05, flip < 0.25)  # 4.5% lost, 2.5% gained: 2 points worse
        dense, pruned = (logits_for((~right).long(), 2) for right in (dense_right, pruned_right))
        passed += compare("accuracy", dense, pruned, labels, margin=0.02).p_value <= 0.05
    assert 0.03 < passed / 1000 < 0.075


def test_the_same_network_passes_and_a_lower_loss_is_better(predictions):
    labels, dense, pruned = predictions
    assert compare("accuracy", dense, dense, labels, 0.001).p_value == 0
    assert compare("loss", dense, pruned, labels, 0.001).difference > 0  # the pruned network errs more
    assert compare("loss", pruned, dense, labels, 0.001).difference < 0


def test_rows_needed_are_those_of_the_notes():
    assert rows_needed(margin=0.005, alpha=0.05, variance=0.02) == pytest.approx(2165, rel=0.01)
