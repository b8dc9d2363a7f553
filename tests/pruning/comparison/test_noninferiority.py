import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from hf_midropout.metrics.classification import metric_and_influence
from hf_midropout.pruning.comparison.noninferiority import (
    compare,
    compare_with_chance,
    fewest_rows,
    rows_needed,
    too_few_rows,
)


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
    result = compare("accuracy", dense, pruned, labels, margin=0.04)
    assert result.difference == pytest.approx((lost - gained) / n)
    assert result.stderr == pytest.approx((lost + gained - (lost - gained) ** 2 / n) ** 0.5 / n)
    # With many rows and many differences, Wald's test (Blackwelder, 1982) says nearly the same.
    wald = 0.5 * math.erfc((0.04 - result.difference) / result.stderr / math.sqrt(2))
    assert result.p_value == pytest.approx(wald, rel=0.2)
    assert 0 < result.p_value < 0.2


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


def test_a_lower_loss_is_better(predictions):
    labels, dense, pruned = predictions
    assert compare("loss", dense, pruned, labels, 0.001).difference > 0  # the pruned network errs more
    assert compare("loss", pruned, dense, labels, 0.001).difference < 0


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
def test_rows_that_all_agree_are_as_much_evidence_as_there_are_rows(predictions, metric):
    labels, dense, _ = predictions
    for rows in (8, 40, 500):
        p_value = compare(metric, dense[:rows], dense[:rows], labels[:rows], 0.01).p_value
        assert p_value >= 0.99**rows * (1 - 1e-9)
        assert (p_value <= 0.05) == (rows >= fewest_rows(metric, 0.01, 0.05))


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
@given(margin=st.floats(0.002, 1.2), alpha=st.floats(1e-8, 0.49))
def test_fewest_rows_is_where_equal_networks_begin_to_pass(metric, margin, alpha):
    fewest = fewest_rows(metric, margin, alpha)
    passes = []
    for rows in (fewest - 1, fewest):
        labels = torch.zeros(rows, dtype=torch.long)
        logits = logits_for(labels, 2)
        passes.append(rows > 0 and compare(metric, logits, logits, labels, margin).p_value <= alpha * (1 + 1e-9))
    assert passes == [False, True]


def test_too_few_rows_are_named():
    assert too_few_rows("accuracy", 0.01, 0.05, 299) is None
    assert "40 validation rows cannot show" in too_few_rows("accuracy", 0.01, 0.05, 40)
    assert "needs 299 rows or more" in too_few_rows("accuracy", 0.01, 0.05, 40)


def test_chance_is_the_largest_class_and_the_entropy():
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    logits = logits_for(labels, 4)  # a class that does not occur
    accuracy = compare_with_chance("accuracy", logits, labels)
    assert accuracy.value == 0.5 and accuracy.difference == 0.5
    assert accuracy.p_value == pytest.approx(0.5**50)
    entropy = -sum(p * math.log(p) for p in (0.5, 0.3, 0.2))
    loss = compare_with_chance("loss", logits * 50, labels)
    assert loss.value == pytest.approx(entropy) and loss.difference == pytest.approx(entropy)
    assert loss.p_value < 1e-6
    assert compare_with_chance("macro_f1", logits, labels).p_value < 1e-6


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
def test_a_network_at_chance_is_not_found_better(metric):
    generator = torch.Generator().manual_seed(3)
    found = 0
    for _ in range(100):
        labels = torch.randint(0, 4, (40,), generator=generator)
        found += compare_with_chance(metric, torch.randn(40, 4, generator=generator), labels).p_value <= 0.05
    assert found <= 10
    for labels in (torch.zeros(40, dtype=torch.long), torch.arange(40) % 4):
        assert compare_with_chance(metric, torch.zeros(40, 4), labels).p_value > 0.05


def test_rows_needed_are_those_of_the_notes():
    assert rows_needed("accuracy", margin=0.005, alpha=0.05, variance=0.02) == pytest.approx(2165, rel=0.01)


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "loss"])
@given(margin=st.floats(0.002, 0.5), alpha=st.floats(1e-4, 0.3), variance=st.floats(0, 1))
def test_rows_needed_are_never_too_few_to_pass(metric, margin, alpha, variance):
    assert too_few_rows(metric, margin, alpha, rows_needed(metric, margin, alpha, variance)) is None
