import hashlib
import math
import pickle
import resource
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from processes import exit_code

from hf_midropout.information import (
    MultiLabelStatistics,
    NeuronStatistics,
    RegressionStatistics,
    SoftLabelStatistics,
    mutual_information,
)
from hf_midropout.information.counting.binning import add_counts, bin_indices
from hf_midropout.information.counting.edges import NUM_BINS, stream_edges
from hf_midropout.information.estimation import ranks
from hf_midropout.information.estimation.contingency import entropy, independence_p_value, merge_to_equal_mass
from hf_midropout.information.estimation.ranks import rank_counts, rank_sums
from hf_midropout.information.estimation.smoothing import smoothed_information
from hf_midropout.information.joint import greedy_log_determinant
from hf_midropout.information.moments import SecondMoments
from hf_midropout.information.streaming.streamed_counts import BUFFER_ROWS


def sample(count: int, classes: int = 4, seed: int = 0, strength: float = 1.0):
    """Activations [count, 3], noise, Gaussian and ReLU, and labels."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=generator)
    noise = torch.randn(count, 3, generator=generator)
    signal = torch.stack([torch.zeros(count), labels * strength, labels * strength], 1)
    activations = noise + signal
    activations[:, 2] = activations[:, 2].relu()
    return activations, labels


def test_entropy():
    assert entropy(torch.tensor([5.0, 5.0, 0.0])) == 1.0
    assert entropy(torch.tensor([4, 0])) == 0.0


def test_a_deterministic_neuron_carries_the_whole_label():
    labels = torch.arange(3000) % 3
    bits, stderr = mutual_information(labels[:, None].float(), labels)
    assert bits.item() == pytest.approx(math.log2(3), abs=2e-3)
    assert stderr.item() < 2e-3


def test_gaussian_classes_against_numerical_integration():
    labels = torch.arange(40_000) % 2
    activations = torch.randn(40_000, generator=torch.Generator().manual_seed(3)) + 2.0 * labels
    grid = torch.linspace(-10, 12, 200_001, dtype=torch.float64)
    densities = [torch.exp(-((grid - mean) ** 2) / 2) / math.sqrt(2 * math.pi) for mean in (0, 2)]
    mixture = (densities[0] + densities[1]) / 2
    truth = sum(0.5 * torch.trapezoid(torch.xlogy(d, d / mixture), grid) for d in densities) / math.log(2)
    bits, stderr = mutual_information(activations[:, None], labels)
    assert bits.item() == pytest.approx(truth.item(), abs=3 * stderr.item())


def test_noise_scores_next_to_nothing():
    activations = torch.randn(5000, 50, generator=torch.Generator().manual_seed(1))
    bits, _ = mutual_information(activations, torch.arange(5000) % 4)
    assert bits.mean() < 0.001


def test_sharp_jumps_get_more_bins():
    """A comb of 16 teeth: 1 bit that is lost to whatever resolves the ranks less finely than the teeth."""
    activations = torch.rand(4000, 1, generator=torch.Generator().manual_seed(0)) * 32
    labels = (activations.flatten() % 2).long()
    bits, _ = mutual_information(activations, labels)
    coarse = smoothed_information(rank_counts(activations, labels, 2, 512))
    assert coarse.wants_finer.item()
    assert bits.item() > 0.955 > 0.95 > coarse.bits.item()  # measured: 0.96 and 0.944
    smooth, labels = sample(4000)
    assert not smoothed_information(rank_counts(smooth, labels, 4, 512)).wants_finer.any()


def test_bins_of_a_stream_do_not_mix_classes_across_a_jump():
    generator = torch.Generator().manual_seed(0)
    activations = torch.rand(12_000, 2, generator=generator) * 32
    labels = (activations[:, 0] % 2).long()
    statistics = NeuronStatistics(2, 2)
    for rows in torch.arange(12_000).split(1000):
        statistics.update(activations[rows], labels[rows])
    assert statistics.mutual_information().bits[0] > 0.985
    blind = NeuronStatistics(2, 2)
    blind.calibrate(activations[:2048])
    blind.update(activations, labels)
    assert blind.mutual_information().bits[0] < 0.94
    # Where nothing jumps, nothing moves.
    assert torch.equal(stream_edges(activations[:2048], labels[:2048])[1], stream_edges(activations[:2048])[1])
    doubles = stream_edges(activations[:2048].double(), labels[:2048])  # by another way of sorting
    assert torch.allclose(doubles, stream_edges(activations[:2048], labels[:2048]).double())


@pytest.mark.parametrize("run", [16, 32, 64])
def test_every_jump_lies_between_edges(run):
    """Later samples stay on their side of a jump too, but for those in the gap, which long runs have cut in three."""
    values = torch.arange(2048.0)
    labels = (torch.arange(2048) // run) % 2
    edges = stream_edges(values[:, None], labels)
    before = values[run - 1 : -1 : run].contiguous()
    inside = torch.searchsorted(edges[0], before + 1, right=True) - torch.searchsorted(edges[0], before, right=True)
    assert (inside >= (4 if run > 5 * 2048 // 384 else 1)).all()
    assert edges.isfinite().all() and (edges.diff() >= 0).all()


def test_one_sample_more_or_less_changes_little():
    """The best bandwidth jumps from one to another; the average over bandwidths does not."""
    changes = []
    for seed in range(20):
        activations, labels = sample(100, seed=seed)
        bits, _ = mutual_information(activations, labels)
        changes += [mutual_information(activations[rest:], labels[rest:])[0] - bits for rest in (1, 2)]
    assert torch.stack(changes).square().mean().sqrt() < 0.019  # 0.022 with the best bandwidth alone


def test_p_values_are_small_for_signal_only():
    activations, labels = sample(4000)
    statistics = NeuronStatistics(3, 4)
    statistics.update(activations, labels)
    noise, gaussian, relu = statistics.mutual_information().p_value.tolist()
    assert noise > 1e-3
    assert gaussian < 1e-12 and relu < 1e-12


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), count=st.integers(60, 400), classes=st.integers(2, 6))
def test_laws(seed, count, classes):
    """0 <= I <= H(y); invariant under monotone maps, orders of samples and names of classes."""
    activations, labels = sample(count, classes, seed)
    bits, _ = mutual_information(activations, labels, num_classes=classes)
    ceiling = entropy(labels.bincount().double()).item()
    assert (bits >= 0).all() and (bits <= ceiling + 1e-12).all()

    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    renamed = (labels + 1) % classes
    for changed in (
        mutual_information(activations.double().mul(3).sub(7).exp(), labels, num_classes=classes),
        mutual_information(activations[order], labels[order], num_classes=classes),
        mutual_information(activations, renamed, num_classes=classes),
    ):
        assert torch.allclose(changed[0], bits, atol=1e-6)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 299), max_size=4))
def test_counts_add_up(seed, cuts):
    """Invariant 2: batches of any size, in any order, in any number of parts give the same counts."""
    activations, labels = sample(300, seed=seed)
    whole = NeuronStatistics(3, 4)
    whole.calibrate(activations)
    whole.update(activations, labels)
    merged = None
    for rows in reversed(torch.arange(300).tensor_split(sorted(cuts))):
        part = NeuronStatistics(3, 4)
        part.calibrate(activations)
        part.update(activations[rows], labels[rows])
        if merged is None:
            merged = part
        else:
            merged.merge(part)
    assert torch.equal(whole.counts, merged.counts)


def test_memory_does_not_grow_with_the_stream():
    statistics = NeuronStatistics(3, 4, calibration_rows=100)
    for seed in range(20):
        statistics.update(*sample(64, seed=seed))
    assert statistics._waiting.rows < BUFFER_ROWS
    assert statistics.counts.sum() == 3 * 20 * 64


@pytest.mark.parametrize("classes", [2, 4, 20])
def test_state_takes_at_most_3_kilobytes_a_neuron_and_class(classes):
    statistics = NeuronStatistics(5, classes, calibration_rows=100)
    for _ in range(3):
        statistics.update(torch.randn(100, 5), torch.arange(100) % classes)
    tensors = [value for value in vars(statistics).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) >= 4
    assert sum(tensor.nbytes for tensor in tensors) <= 3072 * 5 * classes


def test_a_stream_agrees_with_memory():
    activations, labels = sample(20_000)
    statistics = NeuronStatistics(3, 4)
    for rows in torch.arange(20_000).split(1000):
        statistics.update(activations[rows], labels[rows])
    streamed = statistics.mutual_information()
    bits, stderr = mutual_information(activations, labels)
    assert (streamed.bits - bits).abs().max() < 0.01
    assert streamed.num_samples == 20_000


def test_a_frequent_value_has_a_bin_of_its_own():
    activations = torch.cat([torch.zeros(700), torch.linspace(0.01, 1, 300)])[:, None]
    edges = stream_edges(activations)
    assert edges.shape == (1, NUM_BINS - 1)
    bins = bin_indices(activations, edges)[0]
    assert len(bins[:700].unique()) == 1
    assert bins[699] not in bins[700:]


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), count=st.integers(0, 50), classes=st.integers(2, 9), decimals=st.integers(0, 2))
def test_sorting_edges_among_activations_counts_as_looking_bins_up_does(seed, count, classes, decimals):
    generator = torch.Generator().manual_seed(seed)
    edges = torch.randn(4, 30, generator=generator).mul(2).round(decimals=decimals).sort(1).values
    edges[:, 14] = edges[:, 15] = edges[:, 16]
    edges[0, 0], edges[0, -1] = -torch.inf, torch.inf
    activations = torch.randn(count, 4, generator=generator).mul(2).round(decimals=decimals)
    activations[::5] = -0.0
    activations[1::5] = 3e38
    labels = torch.randint(0, classes, (count,), generator=generator)
    counts = torch.zeros(4, 31, classes, dtype=torch.int32)
    add_counts(counts, activations, labels, edges)
    expected = torch.zeros_like(counts)
    for neuron, bins in enumerate(bin_indices(activations, edges)):
        expected[neuron].index_put_((bins.long(), labels), torch.tensor(1, dtype=torch.int32), accumulate=True)
    assert torch.equal(counts, expected)


def test_the_callers_tensors_are_neither_changed_nor_relied_on():
    activations, labels = sample(300)
    by_column = activations.t().contiguous()
    before = by_column.clone()
    expected = mutual_information(activations, labels)[0]
    assert torch.equal(mutual_information(by_column.t(), labels)[0], expected)
    assert torch.equal(by_column, before)
    statistics = NeuronStatistics(3, 4)
    batch, batch_labels = torch.empty(100, 3), torch.empty(100, dtype=torch.long)
    for start in range(0, 300, 100):  # a caller that fills the same tensors again and again
        batch.copy_(activations[start : start + 100])
        batch_labels.copy_(labels[start : start + 100])
        statistics.update(batch, batch_labels)
    whole = NeuronStatistics(3, 4)
    whole.update(activations, labels)
    assert torch.equal(statistics.mutual_information().bits, whole.mutual_information().bits)


def test_bins_reach_beyond_what_placed_them():
    edges = stream_edges(torch.randn(500, 1, generator=torch.Generator().manual_seed(0)))
    far = bin_indices(torch.tensor([[-1e6], [-50.0], [-6.0], [6.0], [50.0], [1e6]]), edges)[0]
    assert len(far.unique()) == 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_both_ways_of_counting_ranks_agree(dtype, monkeypatch):
    """The sort of packed keys against the sort of values, with ties, zeros of both signs and constants."""
    generator = torch.Generator().manual_seed(0)
    activations = torch.randn(333, 6, generator=generator)
    activations[:, 1] = activations[:, 1].relu()
    activations[:, 2] = activations[:, 2].mul(2).round()
    activations[:, 3] = -0.0
    activations[::3, 3] = 0.0
    activations[:, 4] = activations[:, 4].sign()
    labels = torch.randint(0, 5, (333,), generator=generator)
    activations = activations.to(dtype)
    packed = rank_counts(activations, labels, 5, 64)
    assert torch.equal(packed, rank_counts(activations.double(), labels, 5, 64))
    assert torch.equal(packed, rank_sums(activations, torch.nn.functional.one_hot(labels), 64))
    assert (packed[3].sum(1) > 0).sum() == 1
    for limit in ("PANEL_ELEMENTS", "ORDER_ELEMENTS"):  # as many neurons at a time as have room: 4, then 2
        monkeypatch.setattr(ranks, limit, 4 * 333)
    assert torch.equal(packed, rank_counts(activations, labels, 5, 64))
    assert torch.equal(packed, rank_counts(activations.double(), labels, 5, 64))
    assert torch.equal(packed, rank_sums(activations, torch.nn.functional.one_hot(labels), 64))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 200),
    bins=st.sampled_from([16, 64, 256]),
    classes=st.integers(1, 9),
    decimals=st.integers(0, 2),
)
def test_equal_activations_lie_in_the_bin_of_their_mid_rank(seed, count, bins, classes, decimals):
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(count, 5, generator=generator).round(decimals=decimals)
    labels = torch.randint(0, classes, (count,), generator=generator)
    expected = torch.zeros(5, bins, classes, dtype=torch.int64)
    for neuron, values in enumerate(activations.t()):
        below = (values[None] < values[:, None]).sum(1)
        twice_mid_rank = 2 * below + (values[None] == values[:, None]).sum(1)
        place = twice_mid_rank * bins // (2 * count)
        expected[neuron].index_put_((place, labels), torch.tensor(1), accumulate=True)
    assert torch.equal(rank_counts(activations, labels, classes, bins), expected)


def test_the_number_of_threads_changes_nothing():
    activations, labels = sample(6000)
    activations = activations.repeat(1, 50)
    threads = torch.get_num_threads()
    results = []
    try:
        for number in (1, 3):
            torch.set_num_threads(number)
            results.append(mutual_information(activations, labels))
            with ThreadPoolExecutor(1) as another:
                assert torch.get_num_threads() == another.submit(torch.get_num_threads).result() == number
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_merging_bins_keeps_totals():
    counts = torch.randint(0, 9, (3, 256, 4), generator=torch.Generator().manual_seed(0))
    merged = merge_to_equal_mass(counts, 16)
    assert torch.equal(merged.sum(1), counts.sum(1))
    assert merged.sum(2).max() < 2 * counts[0].sum() / 16


def test_empty_bins_and_classes_do_no_harm():
    counts = torch.zeros(1, 16, 3, dtype=torch.int64)
    counts[0, 1, 0] = counts[0, 14, 1] = 5000
    assert smoothed_information(counts)[0].item() == pytest.approx(1.0, abs=1e-3)
    assert independence_p_value(counts).item() < 1e-12


def test_p_values_are_uniform_under_independence():
    from scipy.stats import kstest

    activations = torch.randn(1000, 400, generator=torch.Generator().manual_seed(5))
    for classes in (2, 7):
        labels = torch.arange(1000) % classes
        p_value = independence_p_value(rank_counts(activations, labels, classes, 512))
        assert kstest(p_value.numpy(), "uniform").pvalue > 1e-3


def test_joint_information_of_gaussians():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(4000) % 2
    activations = torch.randn(4000, 5, generator=generator) + 1000
    activations[:, 0] += 2.0 * labels
    activations[:, 1] = activations[:, 0] + 0.01 * torch.randn(4000, generator=generator)  # a copy
    activations[:, 2] += 1.0 * labels
    parts = [SecondMoments(5, 2) for _ in range(2)]
    for part, rows in zip(parts, (slice(0, 1500), slice(1500, None)), strict=True):
        part.update(activations[rows], labels[rows])
    parts[0].merge(parts[1])
    total, within = parts[0].covariances()
    assert torch.allclose(total, torch.cov(activations.double().t(), correction=0), atol=1e-6)
    order, bits = greedy_log_determinant(total, within, ridge=1e-6)
    assert set(order[:2].tolist()) in ({0, 2}, {1, 2})
    for count in range(1, 6):
        chosen = order[:count]
        expected = (torch.logdet(total[chosen][:, chosen]) - torch.logdet(within[chosen][:, chosen])) / 2 / math.log(2)
        assert bits[count - 1].item() == pytest.approx(expected.item(), abs=1e-2)


def test_numpy_and_ignored_labels():
    activations, labels = sample(1000)
    padded = np.concatenate([labels.numpy(), np.full(10, -100)])
    bits, _ = mutual_information(np.concatenate([activations.numpy(), np.zeros((10, 3), np.float32)]), padded)
    assert torch.allclose(bits, mutual_information(activations, labels)[0], atol=0.02)
    statistics = NeuronStatistics(1, 4)
    statistics.update(torch.randn(4, 1), torch.tensor([0, -100, 1, -100]))
    assert (statistics.mutual_information().num_samples, statistics.num_ignored) == (2, 2)


@pytest.mark.parametrize(
    ("activations", "labels", "message"),
    [
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), r"activations \(0, 2\)"),
        (torch.zeros(3, 2), torch.zeros(4, dtype=torch.long), r"\(3, 2\) and labels \(4,\)"),
        (torch.zeros(3), torch.zeros(3, dtype=torch.long), r"\[N, K\]"),
        (torch.zeros(3, 2), torch.tensor([0, 1, -1]), "1 label.*-1"),
        (torch.zeros(3, 2), torch.tensor([0.0, 1.0, 1.0]), "float32"),
        (torch.zeros(3, 2), torch.tensor([1, 1, 1]), r"3 samples are of 1 class"),
        (torch.zeros(2, 2), torch.tensor([-100, -100]), "Labels of 0 samples are of 0 class"),
        (torch.tensor([[0.0, math.nan], [1.0, math.inf], [2.0, 3.0]]), torch.tensor([0, 1, 1]),
         r"1 of 2 neurons \(neuron 1: 2 samples\)"),
    ],
)  # fmt: skip
def test_bad_input(activations, labels, message):
    with pytest.raises(ValueError, match=message):
        mutual_information(activations, labels)


def test_a_stream_of_ignored_samples_is_refused():
    statistics = NeuronStatistics(1, 4)
    statistics.update(torch.randn(4, 1), torch.full((4,), -100))
    with pytest.raises(ValueError, match="Labels of 0 samples"):
        statistics.mutual_information()


def test_soft_labels():
    activations, labels = sample(600)
    bits, stderr = mutual_information(activations, labels)
    soft = torch.nn.functional.one_hot(labels).float()
    assert all(
        torch.allclose(a, b) for a, b in zip(mutual_information(activations, soft), (bits, stderr), strict=True)
    )
    softer = mutual_information(activations, 0.5 * soft + 0.125)[0]
    assert (softer < bits + 1e-6).all() and softer[1] > 0.01
    with pytest.raises(ValueError, match="add up to 1, but 600 do not"):
        mutual_information(activations, 2 * soft)


@settings(max_examples=10)
@given(seed=st.integers(0, 1000), cut=st.integers(1, 2999))
def test_soft_labels_of_a_stream(seed, cut):
    """As in memory; and in any number of parts, to the last bit."""
    activations, labels = sample(3000, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    soft = (torch.nn.functional.one_hot(labels) + 0.3 * torch.rand(3000, 4, generator=generator)).log().softmax(1)
    parts = []
    for rows in (slice(None), slice(cut, None), slice(None, cut)):
        part = SoftLabelStatistics(3, 4)
        part.calibrate(activations[:2048])
        for a, y in zip(activations[rows].split(700), soft[rows].split(700), strict=True):
            part.update(a, y)
        parts.append(part)
    whole, merged, other = parts
    merged.merge(other)
    assert torch.equal(whole.counts, merged.counts)
    result = whole.mutual_information()
    bits, stderr = mutual_information(activations, soft)
    # Over all seeds measured: at most 5e-4 and 1.6e-4 bits.
    assert torch.allclose(result.bits, bits, rtol=0, atol=2e-3)
    assert torch.allclose(result.stderr, stderr, rtol=0, atol=5e-4)
    assert result.num_samples == 3000 and result.p_value.isnan().all()
    assert result.label_entropy == pytest.approx(entropy(soft.double().sum(0)).item(), abs=1e-6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([[0.5, 0.5], [math.nan, 0.5]]), "but 1 do not"),
        (torch.tensor([[0.5, 0.5], [-0.5, 1.5]]), "but 1 do not"),
        (torch.tensor([[0.5, 0.3, 0.2], [1.0, 0.0, 0.0]]), r"must be \[N, 2\]"),
        (torch.tensor([0, 1]), "torch.int64: soft labels must be floats"),
        (torch.tensor([[1.0, 0.0], [1.0, 0.0]]), "are of 1 class"),
    ],
)
def test_what_are_no_soft_labels_is_refused(labels, message):
    statistics = SoftLabelStatistics(1, 2)
    with pytest.raises(ValueError, match=message):
        statistics.update(torch.randn(2, 1), labels)
        statistics.mutual_information()


def test_states_with_different_edges_are_not_merged():
    one, other = NeuronStatistics(1, 2), NeuronStatistics(1, 2)
    one.calibrate(torch.randn(10, 1))
    other.calibrate(torch.randn(10, 1))
    with pytest.raises(ValueError, match="cannot be merged"):
        one.merge(other)


@settings(max_examples=40)
@given(seed=st.integers(0, 1000), count=st.integers(2, 40), classes=st.integers(2, 5))
def test_few_samples_do_no_harm(seed, count, classes):
    """Down to two samples, of which one class each, with runs of one class that ask for more bins than there are."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.cat([torch.tensor([0, 1]), torch.randint(0, classes, (count - 2,), generator=generator)])
    activations = torch.stack([labels.float(), labels + torch.rand(count, generator=generator)], 1)
    bits, stderr = mutual_information(activations, labels, num_classes=classes)
    assert bits.isfinite().all() and stderr.isfinite().all() and (stderr >= 0).all()
    assert (bits <= entropy(labels.bincount().double()) + 1e-12).all()


# Odd labels, odd numbers, many neurons, several threads


@pytest.mark.parametrize("rows", [10, 1000])
def test_a_stray_label_is_refused_before_tables_are_made_of_it(rows):
    activations, labels = sample(rows)
    labels[3] = 10**9  # tables of so many classes would be terabytes
    with pytest.raises(ValueError, match=f"label 1000000000 in {rows} rows: classes must be numbered from 0 on"):
        mutual_information(activations, labels)
    with pytest.raises(ValueError, match=r"1 label\(s\) such as 1000000000: must be in 0..3, or -100"):
        mutual_information(activations, labels, num_classes=4)
    statistics = NeuronStatistics(3, 4)
    with pytest.raises(ValueError, match=r"1 label\(s\) such as 1000000000: must be in 0..3, or -100"):
        statistics.update(activations, labels)
    assert statistics.counts.sum() == 0


def test_classes_that_no_row_has_cost_nothing():
    activations, labels = sample(1000)
    expected = mutual_information(activations, labels)
    far = torch.tensor([0, 5, 300, 999])[labels]
    for number in (None, 1000, 10**12):
        bits, stderr = mutual_information(activations, far, num_classes=number)
        assert torch.equal(bits, expected[0]) and torch.equal(stderr, expected[1])
    with pytest.raises(ValueError, match="num_classes=1: needs 1 neuron and 2 classes"):
        mutual_information(activations, labels, num_classes=1)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.int8])
def test_classes_of_any_integer_type(dtype):
    activations, labels = sample(300)
    expected = mutual_information(activations, labels)[0]
    assert torch.equal(mutual_information(activations, labels.to(dtype))[0], expected)
    assert torch.equal(mutual_information(activations.numpy(), labels.to(dtype).numpy())[0], expected)
    streams = [NeuronStatistics(3, 4) for _ in range(3)]
    streams[0].update(activations, labels)
    streams[1].update(activations, labels.to(dtype))
    streams[2].update(activations.numpy(), labels.to(dtype).numpy())
    of_stream = [stream.mutual_information().bits for stream in streams]
    assert torch.equal(of_stream[1], of_stream[0]) and torch.equal(of_stream[2], of_stream[0])
    with pytest.raises(ValueError, match=r"such as \d+: must be in 0..3"):
        streams[1].update(activations, (labels + 4).to(dtype))


@pytest.mark.parametrize(
    "dtype",
    [torch.float8_e4m3fn, torch.float8_e5m2, torch.float16, torch.bfloat16, torch.uint16, torch.uint64, torch.int8],
)
def test_activations_of_any_real_type(dtype):
    activations, labels = sample(500)
    activations = activations.abs().mul(8).to(dtype)
    wide = activations.to(torch.float64)
    assert torch.allclose(mutual_information(activations, labels)[0], mutual_information(wide, labels)[0], atol=1e-6)
    results = []
    for values in (activations, wide):
        statistics = NeuronStatistics(3, 4, calibration_rows=200)
        for some, of_some in zip(values.split(150), labels.split(150), strict=True):
            statistics.update(some, of_some)
        results.append(statistics.mutual_information().bits)
    assert torch.allclose(*results, atol=1e-3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.to(torch.complex64), "activations of torch.complex64: must be real numbers"),
        (lambda values: values.to_sparse(), "activations of torch.sparse_coo: must be a dense tensor"),
        (lambda values: values.to("meta"), "activations of the meta device"),
        (lambda values: torch.nested.nested_tensor([values]), "activations of a nested tensor"),
        (lambda values: np.array([["a", "b", "c"]] * len(values)), "activations of <U1: must be numbers"),
        (lambda values: values[:, :2].tolist() + [[0.0]], "inhomogeneous"),
    ],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_what_are_no_real_numbers_is_refused(change, message):
    activations, labels = sample(50)
    with pytest.raises(ValueError, match=message):
        mutual_information(change(activations), labels)
    with pytest.raises(ValueError, match=message):
        NeuronStatistics(3, 4).update(change(activations), labels)


KINDS = [
    (NeuronStatistics, lambda labels: labels),
    (SoftLabelStatistics, lambda labels: torch.nn.functional.one_hot(labels, 4).float()),
    (MultiLabelStatistics, lambda labels: torch.nn.functional.one_hot(labels, 4)),
    (RegressionStatistics, lambda labels: labels.double()),
]


@pytest.mark.parametrize(("kind", "change"), KINDS)
def test_an_empty_first_batch(kind, change):
    activations, labels = sample(300)
    targets = change(labels)
    with pytest.raises(ValueError, match="No sample was given"):
        kind(3, 4).mutual_information()
    statistics, other = kind(3, 4), kind(3, 4)
    statistics.update(activations[:0], targets[:0])
    for calibrate in (statistics.calibrate, lambda: statistics.calibrate(activations[:0], targets[:0])):
        with pytest.raises(ValueError, match="No sample was given|All 0 regression targets"):
            calibrate()
    statistics.update(activations, targets)
    statistics.update(activations[:0], targets[:0])
    other.update(activations, targets)
    assert torch.equal(statistics.mutual_information().bits, other.mutual_information().bits)


@pytest.mark.parametrize(("kind", "change"), KINDS)
def test_bins_are_placed_by_what_fits_only(kind, change):
    activations, labels = sample(300)
    targets, statistics = change(labels), kind(3, 4)
    for wrong in ((activations[:, :2], targets), (activations[:9], targets), (activations.to(torch.cfloat), targets)):
        with pytest.raises(ValueError, match="must be"):
            statistics.calibrate(*wrong)


def test_complex_targets_are_refused():
    activations, labels = sample(100)
    with pytest.raises(ValueError, match="labels of torch.complex64: regression targets must be real"):
        mutual_information(activations, labels.to(torch.complex64), problem_type="regression")


@pytest.mark.parametrize(("kind", "change"), KINDS)
def test_several_threads_may_update_one_object(kind, change):
    activations, labels = sample(6000)
    targets = change(labels)
    alone, shared = kind(3, 4), kind(3, 4)
    for statistics in (alone, shared):
        statistics.calibrate(activations[:500], targets[:500])
    for some in torch.arange(6000).split(50):
        alone.update(activations[some], targets[some])

    def update(some):
        shared.update(activations[some], targets[some])
        if some[0] % 1000 == 0:
            shared.mutual_information()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(update, torch.arange(6000).split(50)))
    assert torch.equal(shared.counts, alone.counts)
    assert torch.equal(shared.mutual_information().bits, alone.mutual_information().bits)


def test_statistics_can_be_merged_both_ways_at_once_and_copied():
    parts = [NeuronStatistics(3, 4) for _ in range(2)]
    for part in parts:
        part.calibrate(sample(300)[0])
        part.update(*sample(300))
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(parts[each].merge, parts[1 - each]) for each in (0, 1)]
        for each in waiting:
            each.result(timeout=60)
    assert sorted(int(part.counts[0].sum()) for part in parts) == [600, 900]
    assert torch.equal(pickle.loads(pickle.dumps(parts[0])).counts, parts[0].counts)
    with pytest.raises(ValueError, match="merged with themselves"):
        parts[0].merge(parts[0])


def hashes_of_streams(threads: int) -> list[str]:
    """Of bits and standard errors, with classes and with soft labels."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (5000,), generator=generator)
    activations = torch.randn(5000, 300, generator=generator) + labels[:, None] * torch.rand(300, generator=generator)
    activations = torch.cat([activations[:4000], activations[:1000]])
    labels = torch.cat([labels[:4000], labels[:1000]])
    hashes = []
    soft = torch.nn.functional.one_hot(labels).float()
    for kind, targets in ((NeuronStatistics, labels), (SoftLabelStatistics, soft)):
        statistics = kind(300, 4)
        for some in torch.arange(5000).split(500):
            statistics.update(activations[some], targets[some])
        parts = [values.numpy().tobytes() for values in statistics.mutual_information()[:2]]
        hashes += [hashlib.sha256(part).hexdigest() for part in parts]
    return hashes


def test_standard_errors_of_a_stream_do_not_depend_on_the_number_of_threads():
    before = torch.get_num_threads()
    try:
        one, three = hashes_of_streams(1), hashes_of_streams(3)
    finally:
        torch.set_num_threads(before)
    assert len(one) == 4 and one == three


def measure(neurons: int, twice: bool, file: Path) -> None:
    """Run in a process of its own: writes what memory it takes."""
    labels = torch.arange(300) % 2
    activations = torch.empty(300, neurons).normal_()
    activations[:, :10] += labels[:, None]
    if twice:
        activations[150:], labels[150:] = activations[:150], labels[:150].clone()

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

    before = peak()
    bits, _ = mutual_information(activations, labels)
    memory = peak() - before
    assert len(bits) == neurons
    statistics = NeuronStatistics(neurons, 2, calibration_rows=200)
    for some in torch.arange(300).split(100):
        statistics.update(activations[some], labels[some])
    result = statistics.mutual_information()
    state = sum(value.nbytes for value in vars(statistics).values() if isinstance(value, torch.Tensor))
    file.write_text(f"{memory} {peak() - before - state // 2**20}")
    assert result.bits[:10].min() > result.bits[10:].mean()


@pytest.mark.parametrize(
    ("neurons", "rows"),
    [
        pytest.param(10_000, "once", marks=pytest.mark.slow),
        (4000, "twice"),
        pytest.param(100_000, "once", marks=pytest.mark.slow),
        pytest.param(100_000, "twice", marks=pytest.mark.slow),
    ],
)
def test_many_neurons_at_once_take_bounded_memory(neurons, rows, tmp_path):
    """In MiB, beside the activations of 200 waiting rows and what is kept of each neuron."""
    code = exit_code(tmp_path / "log", measure, neurons, rows == "twice", tmp_path / "memory")
    assert code == 0, (tmp_path / "log").read_text()
    memory, stream = map(int, (tmp_path / "memory").read_text().split())
    waiting = 200 * neurons * 4 * 3 // 2**20
    assert memory < 1000
    assert stream < max(memory, waiting + 400)
