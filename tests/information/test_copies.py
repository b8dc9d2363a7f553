"""Rows that are given more than once are no independent evidence."""

import collections

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_midropout.information import (
    MultiLabelStatistics,
    NeuronStatistics,
    RegressionStatistics,
    RowsSeen,
    SoftLabelStatistics,
    mutual_information,
)
from hf_midropout.information.copies import DistinctRows
from hf_midropout.information.row_keys import row_keys, rows_are_told_apart


ROWS, NEURONS, CLASSES = 2000, 24, 4


def draw(rows: int = ROWS, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise, of which every fourth neuron is behind a ReLU, but the last two neurons know the label."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (rows,), generator=generator)
    activations = torch.randn(rows, NEURONS, generator=generator)
    activations[:, -2:] += labels[:, None]
    activations[:, ::4] = activations[:, ::4].relu()
    return activations, labels


def streamed(activations: torch.Tensor, labels: torch.Tensor, kind=NeuronStatistics, outputs: int = CLASSES):
    statistics = kind(activations.shape[1], outputs)
    for some, of_some in zip(activations.split(300), labels.split(300), strict=True):
        statistics.update(some, of_some)
    return statistics.mutual_information()


def in_memory(activations: torch.Tensor, labels: torch.Tensor):
    return mutual_information(activations, labels)


def shuffled(rows: torch.Tensor, seed: int = 1) -> torch.Tensor:
    return rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))]


def again(rows: int, how: str) -> torch.Tensor:
    """Numbers of rows, some of them more than once."""
    generator = torch.Generator().manual_seed(2)
    return shuffled(
        {
            "twice": lambda: torch.arange(rows).repeat(2),
            "three times": lambda: torch.arange(rows).repeat(3),
            "30% of them": lambda: torch.cat(
                [torch.arange(rows), torch.randperm(rows, generator=generator)[: 3 * rows // 10]]
            ),
            "drawn with replacement": lambda: torch.randint(0, rows, (rows,), generator=generator),
        }[how]()
    )


# RowsSeen


def sums_of(batches: list[tuple[list[int], list[int]]]) -> dict:
    """What RowsSeen says of batches of keys and labels, by key and label."""
    seen, sums = RowsSeen(), collections.Counter()
    for keys, labels in batches:
        copies = seen.add(torch.tensor(keys, dtype=torch.int64), torch.tensor(labels, dtype=torch.int64))
        for row, label, *numbers in zip(*(part.tolist() for part in copies), strict=True):
            for name, number in zip(("same", "any", "again"), numbers, strict=True):
                sums[keys[row], label, name] += number
    return {entry: number for entry, number in sums.items() if number}


def expected_sums(keys: list[int], labels: list[int]) -> dict:
    pairs = collections.Counter((key, label) for key, label in zip(keys, labels, strict=True) if label >= 0)
    of_key = collections.Counter(key for key, label in zip(keys, labels, strict=True) if label >= 0)
    sums = {}
    for (key, label), number in pairs.items():
        values = {"same": number * (number - 1), "any": number * (of_key[key] - 1), "again": number - 1}
        sums |= {(key, label, name): value for name, value in values.items() if value}
    return sums


@given(
    rows=st.lists(st.tuples(st.integers(-3, 12), st.sampled_from([0, 1, 2, -100])), max_size=80),
    cuts=st.lists(st.integers(0, 80), max_size=6),
    data=st.data(),
)
def test_copies_add_up_to_the_same_for_any_batches_and_order(rows, cuts, data):
    rows = data.draw(st.permutations(rows))
    keys, labels = [key for key, _ in rows], [label for _, label in rows]
    places = [0, *sorted(cuts), len(rows)]
    batches = [(keys[start:end], labels[start:end]) for start, end in zip(places, places[1:], strict=False)]
    assert sums_of(batches) == expected_sums(keys, labels)


def test_rows_are_remembered_at_16_bytes_each():
    seen = RowsSeen()
    keys = torch.arange(40_000)
    for some in shuffled(keys).split(700):
        assert len(seen.add(some, some % 3).rows) == 0
    copies = [seen.add(some, some % 3) for some in shuffled(keys, 5).split(700)]
    assert sum(int(part.same.sum()) for part in copies) == 2 * len(keys)
    assert seen.num_rows == len(keys)
    assert sum(part.nbytes for run in seen._runs for part in run) == 16 * len(keys)


def test_beyond_the_rows_that_are_remembered_nothing_breaks(monkeypatch):
    monkeypatch.setattr("hf_midropout.information.streaming.rows_seen.MAX_ROWS", 10)
    seen = RowsSeen()
    keys = torch.arange(40)
    for some in keys.split(10):
        seen.add(some, torch.zeros(10, dtype=torch.long))
    assert seen.num_rows == 10
    assert seen.add(keys, torch.zeros(40, dtype=torch.long)).rows.tolist() == list(range(10))


@pytest.mark.parametrize(
    ("keys", "labels", "message"),
    [
        (torch.zeros(3), None, "keys .* of torch.float32: must be one integer"),
        (torch.zeros(3, 1, dtype=torch.long), None, r"keys \(3, 1\)"),
        (torch.arange(3), torch.arange(4), r"labels \(4,\)"),
        (torch.arange(3), torch.rand(3), "labels .* of torch.float32"),
    ],
)
def test_what_are_no_keys_and_labels_is_refused(keys, labels, message):
    with pytest.raises(ValueError, match=message):
        RowsSeen().add(keys, labels)


def test_copies_of_another_batch_are_refused():
    seen, statistics = RowsSeen(), NeuronStatistics(3, 2)
    copies = seen.add(torch.zeros(9, dtype=torch.long))._replace(rows=torch.tensor([8]))
    with pytest.raises(ValueError, match="copies of row 8: must be of the batch's 4 rows"):
        statistics.update(torch.randn(4, 3), torch.zeros(4, dtype=torch.long), copies)


def test_copies_that_are_left_out_are_not_counted():
    """Keys without labels: the row's own, of which one may be -100."""
    seen, statistics = RowsSeen(), NeuronStatistics(3, 2)
    keys, labels = torch.tensor([7, 7, 8, 9]), torch.tensor([-100, -100, 0, 1])
    statistics.update(torch.randn(4, 3), labels, seen.add(keys))
    statistics.counts  # noqa: B018
    statistics.calibrate()
    assert statistics.counts.sum() == 3 * 2
    assert int(statistics._copies.sum()) == 0


# row_keys


@given(
    rows=st.integers(0, 40),
    neurons=st.sampled_from([1, 2, 3, 64, 65, 300]),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int32, torch.uint8]),
    seed=st.integers(0, 100),
)
def test_keys_are_equal_for_equal_rows_wherever_they_are(rows, neurons, dtype, seed):
    generator = torch.Generator().manual_seed(seed)
    values = (torch.randn(rows, neurons, generator=generator) * 50).abs().to(dtype)
    keys = row_keys(values)
    assert keys.shape == (rows,) and keys.dtype == torch.int64
    order = torch.randperm(rows, generator=generator)
    assert torch.equal(row_keys(values[order]), keys[order])
    assert torch.equal(row_keys(values, order), keys[order])
    different = len(values.double().unique(dim=0)) if rows else 0
    assert len(keys.unique()) == different


def test_zeros_of_both_signs_are_equal():
    values = torch.tensor([[0.0, 1.0, -0.0], [-0.0, 1.0, 0.0]])
    assert len(row_keys(values).unique()) == len(row_keys(values.double()).unique()) == 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32, torch.float32])
def test_rows_of_whole_numbers_have_different_keys(dtype):
    """Their lowest bits are all 0: 100,000 rows of three numbers, no two alike."""
    numbers = torch.arange(100_000)
    values = torch.stack([numbers % 47, numbers // 47 % 47, numbers // 47**2], 1).to(dtype)
    assert len(row_keys(values).unique()) == len(values)


def test_rows_that_differ_only_where_nothing_is_looked_at_first_are_no_copies():
    """Two layers side by side: one of 300 inputs that come again and again, one of numbers of their own."""
    activations, labels = draw()
    generator = torch.Generator().manual_seed(0)
    repeated = torch.randn(300, 100, generator=generator)[torch.randint(0, 300, (ROWS,), generator=generator)]
    activations = torch.cat([repeated, activations, repeated], 1)
    assert DistinctRows.find(activations, labels) is None
    statistics = NeuronStatistics(activations.shape[1], CLASSES)
    statistics.update(activations, labels)
    assert statistics.mutual_information().num_samples == ROWS
    assert statistics._copies is None


def test_rows_of_few_values_are_not_told_apart():
    rows = torch.tensor([[0.0] * 80, [0.0, 1.0] * 40, [0.0, 1.0, 2.0, 2.0] * 20, [0.0] * 77 + [1.0, 2.0, 3.0]])
    assert rows_are_told_apart(rows).tolist() == [False, False, False, True]
    assert rows_are_told_apart(rows.half(), torch.tensor([3, 0])).tolist() == [True, False]


# DistinctRows


@settings(max_examples=30)
@given(seed=st.integers(0, 1000), rows=st.integers(100, 300), inputs=st.integers(20, 400), grouped=st.booleans())
def test_distinct_rows_are_what_rows_seen_says(seed, rows, inputs, grouped):
    generator = torch.Generator().manual_seed(seed)
    keys, labels = (torch.randint(0, number, (rows,), generator=generator) for number in (inputs, 3))
    many = [key for key, number in collections.Counter(keys.tolist()).items() if number * 64 > len(keys)]
    once = [index for index, key in enumerate(keys.tolist()) if key in many]
    keys[once] = 1000 + torch.arange(len(once))  # frequent values are no copies
    activations = torch.randn(1400, 5, generator=torch.Generator().manual_seed(0))[keys]
    distinct = DistinctRows.find(activations, labels, keys if grouped else None)
    expected = expected_sums(keys.tolist(), labels.tolist())
    if distinct is None:
        assert not [name for _, _, name in expected if name == "again"]
        return
    found = {}
    for row, (_, *numbers) in zip(distinct.rows.tolist(), distinct.sums().tolist(), strict=True):
        for name, number in zip(("same", "any", "again"), numbers, strict=True):
            if number:
                found[int(keys[row]), int(labels[row]), name] = number
    assert found == expected
    assert int(distinct.same.sum()) == len(keys)


# What they do to the estimates


@pytest.mark.parametrize("how", ["twice", "three times", "30% of them", "drawn with replacement"])
@pytest.mark.parametrize("way", [in_memory, streamed])
def test_copies_do_not_inflate_noise_and_informative_neurons_keep_their_bits(how, way):
    activations, labels = draw()
    rows = again(ROWS, how)
    bits, stderr, *_ = way(activations[rows], labels[rows])
    once = rows.unique()
    before, before_stderr, *_ = way(activations[once], labels[once])
    assert bits[:-2].max() < 0.01  # the ties alone would tell 0.05 bits to 1.7
    assert (bits[:-2].mean() - before[:-2].mean()).abs() < 5e-4
    assert torch.allclose(bits[-2:], before[-2:], rtol=0, atol=0.03)
    # Rows that weigh more than others leave less to go by.
    assert (stderr[-2:] > 0.98 * before_stderr[-2:]).all() and (stderr[-2:] < 1.3 * before_stderr[-2:]).all()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), rows=st.integers(70, 400), times=st.integers(2, 5))
def test_all_rows_given_several_times_change_nothing(seed, rows, times):
    activations, labels = draw(rows, seed)
    repeated = shuffled(torch.arange(rows).repeat(times))
    for way in (in_memory, streamed):
        before, after = way(activations, labels), way(activations[repeated], labels[repeated])
        assert torch.allclose(after[0], before[0], rtol=0, atol=1e-3)
        assert torch.allclose(after[1], before[1], rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("way", [in_memory, streamed])
def test_p_values_and_bits_with_oversampled_classes(way):
    """Two rare classes, whose rows are repeated until all classes are equally frequent."""
    activations, labels = draw(6000)
    generator = torch.Generator().manual_seed(3)
    kept = torch.rand(6000, generator=generator) < torch.tensor([1.0, 1.0, 0.25, 0.125])[labels]
    activations, labels = activations[kept], labels[kept]
    repeats = torch.tensor([1, 1, 4, 8])[labels]
    rows = shuffled(torch.arange(len(labels)).repeat_interleave(repeats))
    bits, _, *p_value = way(activations[rows], labels[rows])
    assert bits[:-2].max() < 0.03
    assert bits[-2:].min() > 0.4
    # The bits are those of the oversampled classes: about as of so many rows of their own.
    fair, fair_labels = draw(len(rows), seed=9)
    assert torch.allclose(bits[-2:], way(fair, fair_labels)[0][-2:], rtol=0, atol=0.1)
    if p_value:
        assert (p_value[0][:-2] > 1e-4).all() and (p_value[0][-2:] < 1e-12).all()


def test_p_values_of_noise_are_uniform_though_rows_are_copied():
    from scipy.stats import kstest

    generator = torch.Generator().manual_seed(5)
    activations, labels = torch.randn(1500, 200, generator=generator), torch.arange(1500) % 3
    rows = again(1500, "twice")
    p_value = streamed(activations[rows], labels[rows], outputs=3).p_value
    assert kstest(p_value.numpy(), "uniform").pvalue > 1e-3


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("way", [in_memory, streamed])
def test_copies_in_other_precisions(dtype, way):
    activations, labels = draw()
    rows = again(ROWS, "twice")
    bits = way(activations[rows].to(dtype), labels[rows])[0]
    assert bits[:-2].max() < 0.02
    assert torch.allclose(bits, way(activations[rows].to(dtype).float(), labels[rows])[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("way", [in_memory, streamed])
def test_dead_and_discrete_neurons_are_no_copies(way):
    """A layer of which most is dead, and one of three values: all rows are evidence."""
    activations, labels = draw()
    dead = torch.zeros(ROWS, 90)
    dead[:, :3] = (activations[:, -3:] > 0.8).float()
    known = 2.0 * (labels > 1) + (torch.rand(ROWS, generator=torch.Generator().manual_seed(0)) < 0.1)
    dead[:, 3] = known.clamp(max=2)
    bits, stderr, *_ = way(dead, labels)
    alone, alone_stderr, *_ = way(dead[:, 3:4], labels)
    assert torch.allclose(bits[3], alone[0]) and torch.allclose(stderr[3], alone_stderr[0])
    assert bits[3] > 0.7 and bits[4:].max() < 1e-6


def test_few_inputs_that_come_often_are_evidence_of_their_own():
    """20 different inputs: what a table of rows by label tells."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(20, 8, generator=generator)
    chosen = torch.randint(0, 20, (3000,), generator=generator)
    labels = (chosen >= 10).long()
    bits, _ = mutual_information(inputs[chosen], labels)
    assert (bits > 0.95).all()  # each tells the input, which tells the label
    assert torch.allclose(streamed(inputs[chosen], labels, outputs=2).bits, bits, rtol=0, atol=0.02)


@pytest.mark.parametrize("way", [in_memory, streamed])
def test_a_class_of_20_rows_repeated_50_times(way):
    """Each of them more than a 64th of all rows, with one label."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.arange(2020) < 20).long()
    activations = torch.randn(2020, 40, generator=generator)
    activations[:, -2:] += 4.0 * labels[:, None]
    rows = shuffled(torch.cat([torch.arange(20).repeat(50), torch.arange(20, 2020)]))
    bits, stderr, *p_value = way(activations[rows], labels[rows])
    assert bits[:-2].mean() < 0.03 and bits[:-2].max() < 0.2  # 0.915 if these are no copies
    assert (bits[:-2] < 4 * stderr[:-2] + 0.01).all()
    assert bits[-2:].min() > 0.6
    if p_value:
        assert p_value[0][:-2].min() > 1e-4


@pytest.mark.parametrize("way", [in_memory, streamed])
def test_a_value_that_inputs_often_take_is_evidence_each_time(way):
    """A fifth of the texts are empty, and mostly of one class."""
    activations, labels = draw(4000)
    empty = torch.rand(4000, generator=torch.Generator().manual_seed(1)) < 0.2
    activations[empty] = torch.linspace(3, 4, NEURONS)
    labels[empty] = torch.where(torch.rand(4000, generator=torch.Generator().manual_seed(2)) < 0.9, 0, labels)[empty]
    table = torch.stack([torch.bincount(labels[rows], minlength=CLASSES) for rows in (empty, ~empty)]).double()
    share = table / table.sum()
    known = torch.special.xlogy(share, share / (share.sum(0) * share.sum(1, keepdim=True))).sum() / np.log(2)
    bits = way(activations, labels)[0]
    assert torch.allclose(bits[:-2], known, rtol=0, atol=0.03) and known > 0.2


def test_groups_are_copies_that_differ_in_the_last_bits():
    activations, labels = draw()
    rows = again(ROWS, "twice")
    generator = torch.Generator().manual_seed(4)
    nearly = activations[rows] * (1 + 1e-6 * torch.randn(len(rows), NEURONS, generator=generator))
    inflated, _ = mutual_information(nearly, labels[rows])
    bits, stderr = mutual_information(nearly, labels[rows], groups=rows)
    assert inflated[1] > 0.3
    assert bits[:-2].max() < 0.02
    assert stderr[-1] > 0.8 * mutual_information(activations, labels)[1][-1]
    of_array, _ = mutual_information(nearly.numpy(), labels[rows].numpy(), groups=rows.numpy().astype(np.uint16))
    assert torch.equal(of_array, bits)
    one_by_one, _ = mutual_information(nearly[:, :1], labels[rows], groups=rows)  # of one neuron, no other way
    assert one_by_one[0] < 0.02


@pytest.mark.parametrize("groups", [torch.arange(3), torch.rand(2000), torch.zeros(2000, 1, dtype=torch.long)])
def test_what_are_no_groups_is_refused(groups):
    activations, labels = draw()
    with pytest.raises(ValueError, match=r"groups .*: must be one integer for each of 2000 rows"):
        mutual_information(activations, labels, groups=groups)


def test_a_row_that_comes_with_several_labels():
    """Its copies tell nothing of each other: what is known of the row is known of the rest."""
    activations, _ = draw()
    rows = shuffled(torch.arange(ROWS).repeat(4))
    labels = torch.randint(0, CLASSES, (4 * ROWS,), generator=torch.Generator().manual_seed(6))
    assert mutual_information(activations[rows], labels)[0].max() < 0.02
    assert streamed(activations[rows], labels).bits.max() < 0.02


# Other kinds of labels


def soft(labels: torch.Tensor) -> torch.Tensor:
    return 0.8 * torch.nn.functional.one_hot(labels, CLASSES) + 0.2 / CLASSES


def several(labels: torch.Tensor) -> torch.Tensor:
    return torch.stack([labels > 1, labels % 2 == 0], 1)


KINDS = {
    "soft": (soft, SoftLabelStatistics, CLASSES, {}),
    "several": (several, MultiLabelStatistics, 2, {}),
    "regression": (lambda labels: labels.double() + 0.1, RegressionStatistics, 8, {"problem_type": "regression"}),
}


@pytest.mark.parametrize("name", list(KINDS))
@pytest.mark.parametrize("how", ["twice", "30% of them"])
def test_copies_with_other_kinds_of_labels(name, how):
    change, kind, outputs, options = KINDS[name]
    activations, labels = draw()
    rows = again(ROWS, how)
    targets = change(labels)
    before, _ = mutual_information(activations, targets, **options)
    bits, _ = mutual_information(activations[rows], targets[rows], **options)
    stream = streamed(activations[rows], targets[rows], kind, outputs).bits
    if name == "several":
        before, bits = before.mean(0), bits.mean(0)
    assert bits[:-2].max() < 0.02 and stream[:-2].max() < 0.02
    assert torch.allclose(bits[-2:], before[-2:], rtol=0, atol=0.02)
    assert torch.allclose(stream, bits, rtol=0, atol=0.02)


@pytest.mark.parametrize("name", ["classes", *KINDS])
def test_a_stream_of_copies_is_the_same_in_any_batches_and_order(name):
    change, kind, outputs, _ = KINDS.get(name, (lambda labels: labels, NeuronStatistics, CLASSES, {}))
    activations, labels = draw(400)
    targets = change(labels)
    rows = again(400, "twice")
    results = []
    for order, size in ((rows, 64), (rows.flip(0), 333), (shuffled(rows, 8), 1)):
        statistics = kind(NEURONS, outputs)
        statistics.calibrate(activations, targets)
        for some in order.split(size):
            statistics.update(activations[some], targets[some])
        results.append(statistics.mutual_information())
    for result in results[1:]:
        assert torch.equal(result.bits, results[0].bits)
        assert torch.equal(result.stderr, results[0].stderr)


def test_rows_that_are_numbered_need_not_be_equal():
    """Copies of a table's rows, whose activations differ in the last bits; across statistics that are merged, too."""
    activations, labels = draw()
    rows = again(ROWS, "twice")
    generator = torch.Generator().manual_seed(4)
    nearly = activations[rows] * (1 + 1e-6 * torch.randn(len(rows), NEURONS, generator=generator))
    seen, parts = RowsSeen(), []
    for some in torch.arange(len(rows)).tensor_split(3):
        parts.append(NeuronStatistics(NEURONS, CLASSES))
        parts[-1].calibrate(nearly[:2048], labels[rows[:2048]])
        parts[-1].update(nearly[some], labels[rows[some]], seen.add(rows[some], labels[rows[some]]))
    for part in parts[1:]:
        parts[0].merge(part)
    assert parts[0].mutual_information().bits[:-2].max() < 0.02
