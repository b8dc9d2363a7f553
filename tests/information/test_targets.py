import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_midropout.information import MultiLabelStatistics, RegressionStatistics, mutual_information
from hf_midropout.information.targets import target_classes, target_edges


def several_labels(count: int, seed: int = 0):
    """Activations [count, 3] that tell label 0, label 1, nothing; labels [count, 3], the last never set."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.rand(count, 3, generator=generator) < torch.tensor([0.5, 0.1, 0.0])
    activations = torch.randn(count, 3, generator=generator)
    activations[:, :2] += 2.0 * labels[:, :2]
    return activations, labels


def test_several_binary_labels_are_scored_one_by_one():
    activations, labels = several_labels(2000)
    bits, stderr = mutual_information(activations, labels)
    assert bits.shape == stderr.shape == (3, 3)
    for label in range(2):
        expected = mutual_information(activations, labels[:, label].long())
        assert torch.equal(bits[label], expected[0]) and torch.equal(stderr[label], expected[1])
        assert bits[label].argmax() == label
    assert (bits[2] == 0).all() and (stderr[2] == 0).all()
    told = mutual_information(activations, labels.float().numpy(), problem_type="multi_label_classification")
    assert torch.equal(told[0], bits)


def test_a_stream_of_several_labels_agrees_with_memory():
    activations, labels = several_labels(6000)
    statistics = MultiLabelStatistics(3, 3)
    for rows in torch.arange(6000).split(500):
        statistics.update(activations[rows], labels[rows].float())
    statistics.update(torch.zeros(7, 3), torch.full((7, 3), -100.0))
    bits, stderr = mutual_information(activations, labels)
    each = statistics.of_each_label()
    assert each[2] is None
    for label in range(2):
        assert (each[label].bits - bits[label]).abs().max() < 0.01
    joint = statistics.mutual_information()
    assert torch.allclose(joint.bits, bits.mean(0), atol=0.005)
    assert torch.allclose(joint.stderr, stderr.mean(0), atol=0.002)
    assert joint.p_value[0] < 1e-12 and joint.p_value[2] > 1e-3
    share = labels[:, :2].double().mean(0)
    entropies = -(share * share.log2() + (1 - share) * (1 - share).log2())
    assert joint.label_entropy == pytest.approx(entropies.sum().item() / 3)
    assert (joint.num_samples, statistics.num_ignored) == (6000, 7)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 299))
def test_counts_of_several_labels_and_of_targets_add_up(seed, cut):
    activations, labels = several_labels(300, seed)
    for make, targets in ((MultiLabelStatistics, labels), (RegressionStatistics, activations.sum(1))):
        whole, first, second = (make(3, 3) for _ in range(3))
        for statistics, rows in ((whole, slice(None)), (first, slice(cut)), (second, slice(cut, None))):
            statistics.calibrate(activations, targets)
            statistics.update(activations[rows], targets[rows])
        second.merge(first)
        assert torch.equal(whole.counts, second.counts)


def test_regression_targets():
    generator = torch.Generator().manual_seed(0)
    targets = torch.randn(4000, 1, generator=generator)
    activations = torch.cat([targets, targets + torch.randn(4000, 1, generator=generator)], 1)
    activations = torch.cat([activations, torch.randn(4000, 1, generator=generator)], 1)
    bits, stderr = mutual_information(activations, targets, problem_type="regression")
    assert bits[0].item() == pytest.approx(3.0, abs=0.03)
    # Of the Gaussian channel with a signal as strong as its noise, less what eight bins of the target lose.
    assert 0.40 < bits[1] < 0.5 * math.log2(1 + 1)
    assert bits[2] < 0.01
    finer, _ = mutual_information(activations, targets, problem_type="regression", target_bins=32)
    assert bits[1] < finer[1] < 0.5 + 3 * stderr[1]
    statistics = RegressionStatistics(3)
    for rows in torch.arange(4000).split(500):
        statistics.update(activations[rows], targets[rows])
    assert (statistics.mutual_information().bits - bits).abs().max() < 0.03


@settings(max_examples=30)
@given(values=st.lists(st.integers(0, 6), min_size=2, max_size=60), bins=st.integers(2, 10))
def test_bins_of_targets_are_not_empty_and_keep_ties_together(values, bins):
    targets = torch.tensor(values, dtype=torch.float64)
    if len(targets.unique()) == 1:
        with pytest.raises(ValueError, match="needs 2 values"):
            target_edges(targets, bins)
        return
    edges = target_edges(targets, bins)
    classes = target_classes(targets, edges)
    assert 2 <= len(edges) + 1 <= bins
    assert sorted(set(classes.tolist())) == list(range(len(edges) + 1))
    order = targets.argsort()
    assert (classes[order].diff() >= 0).all()


@pytest.mark.parametrize(
    ("labels", "problem_type", "message"),
    [
        (torch.tensor([[0, 1], [1, 2], [0, 0]]), "multi_label_classification", "1 label.*such as 2.*0 or 1"),
        (torch.tensor([[0, 1], [1, -100], [0, 0]]), "multi_label_classification", "such as -100"),
        (torch.tensor([0, 1, 1]), "multi_label_classification", r"labels \(3,\).*\[N, L\]"),
        (torch.ones(3, 2, dtype=torch.bool), None, r"2 label\(s\) is the same in all 3"),
        (torch.tensor([[0, 1], [1, 1], [0, 0]]), None, "problem_type='multi_label_classification'"),
        (torch.tensor([[0.0, 1], [1, 1], [0, 0]]), None, "problem_type='multi_label_classification'"),
        (torch.tensor([0.5, 1.0, 2.0]), None, "another problem_type"),
        (torch.tensor([0.5, math.nan, 2.0]), "regression", "1 of 3 regression targets"),
        (torch.ones(3), "regression", "All 3 regression targets are 1"),
        (torch.ones(3, 2), "regression", r"\(3, 2\).*one by one"),
        (torch.tensor([0, 1, 1]), "ranking", "problem_type='ranking'.*'regression'"),
    ],
)
def test_what_cannot_be_scored_says_so(labels, problem_type, message):
    with pytest.raises(ValueError, match=message):
        mutual_information(torch.arange(6.0).view(3, 2), labels, problem_type=problem_type)


def test_streams_that_cannot_be_scored_say_so():
    with pytest.raises(ValueError, match=r"must be \[N, 3\]"):
        MultiLabelStatistics(2, 3).update(torch.zeros(4, 2), torch.zeros(4, 2))
    statistics = MultiLabelStatistics(2, 3)
    statistics.update(torch.zeros(4, 2), torch.ones(4, 3))
    with pytest.raises(ValueError, match="same in all 4 samples"):
        statistics.mutual_information()
    with pytest.raises(ValueError, match="labels=None"):
        RegressionStatistics(2).calibrate(torch.zeros(4, 2))
    one, other = RegressionStatistics(1, 2), RegressionStatistics(1, 2)
    one.calibrate(torch.arange(4.0)[:, None], torch.arange(4.0))
    other.calibrate(torch.arange(4.0)[:, None], torch.arange(4.0) + 1)
    with pytest.raises(ValueError, match="cannot be merged"):
        one.merge(other)
