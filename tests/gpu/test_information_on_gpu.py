"""The estimator gives on a GPU what it gives on the CPU."""

import pytest
import torch

from hf_midropout.information import (
    MultiLabelStatistics,
    NeuronStatistics,
    RegressionStatistics,
    SoftLabelStatistics,
    mutual_information,
)
from hf_midropout.information.counting import one_read
from hf_midropout.information.counting.by_class import count_classes
from hf_midropout.information.counting.edges import NUM_BINS, stream_edges
from hf_midropout.information.joint import greedy_log_determinant
from hf_midropout.information.moments import SecondMoments


DTYPES = [torch.float32, torch.bfloat16, torch.float16]


def drawn(rows=6000, neurons=24, classes=4, dtype=torch.float32):
    """Neurons that tell more and less of the class; of some, many values are equal, 0 or -0."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (rows,), generator=generator)
    values = torch.randn(rows, neurons, generator=generator) + labels[:, None] * torch.linspace(0, 1, neurons)
    values[:, ::4] = values[:, ::4].clamp(min=0)
    values[::3, 1::4] = -0.0
    values[:, 2::4] = values[:, 2::4].round(decimals=1)
    return values.to(dtype), labels


def streamed(kind, values, targets, *sizes, device, batch_size=700):
    statistics = kind(values.shape[1], *sizes, device=device)
    for rows, of_rows in zip(values.split(batch_size), targets.split(batch_size), strict=True):
        statistics.update(rows.to(device), of_rows.to(device))
    return statistics


def assert_close(found, expected):
    for of_gpu, of_cpu in zip(found, expected, strict=True):
        assert torch.allclose(torch.as_tensor(of_gpu).cpu(), torch.as_tensor(of_cpu), rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_in_memory(device, dtype):
    values, labels = drawn(dtype=dtype)
    expected = mutual_information(values, labels, 4)
    found = mutual_information(values.to(device), labels.to(device), 4)
    assert_close(found, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_edges_are_equal(device, dtype):
    values, labels = drawn(2048, dtype=dtype)
    values = values.float()
    assert torch.equal(stream_edges(values.to(device), labels.to(device)).cpu(), stream_edges(values, labels))


@pytest.fixture(params=["cuda", "triton", "torch"])
def path(request, device, monkeypatch):
    """What counts."""
    monkeypatch.setenv("MIDROPOUT_GPU_COUNTING", request.param)
    if request.param == "triton":
        pytest.importorskip("triton")
    return request.param


@pytest.mark.parametrize("classes", [2, 4, 9, 20, 70])
@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_and_bits_of_a_stream(device, dtype, classes, path):
    values, labels = drawn(neurons=70, classes=classes, dtype=dtype)
    labels[::50] = -100
    expected = streamed(NeuronStatistics, values, labels, classes, device="cpu")
    found = streamed(NeuronStatistics, values, labels, classes, device=device)
    assert torch.equal(found.counts.cpu(), expected.counts)
    assert found.num_ignored == expected.num_ignored == 120
    assert_close(found.mutual_information(), expected.mutual_information())


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_kernel_is_used_and_takes_any_strides(device, dtype, path):
    if device.type == "cuda" and path != "torch":
        reason = one_read.reason_against(torch.device("cuda", torch.cuda.current_device()), path, dtype)
        assert not reason
        assert one_read.counting_path(torch.device("cuda", torch.cuda.current_device()), dtype) == path
    values, labels = drawn(dtype=dtype)
    wide = torch.zeros(6000, 48, dtype=dtype)
    wide[:, ::2] = values
    expected = streamed(NeuronStatistics, values, labels, 4, device="cpu")
    found = NeuronStatistics(24, 4, device=device)
    every_other, transposed = wide.to(device)[:, ::2], values.to(device).t().contiguous().t()
    for start, source in ((0, every_other), (3000, transposed)):
        found.update(source[start : start + 3000], labels[start : start + 3000].to(device))
    assert torch.equal(found.counts.cpu(), expected.counts)


def test_more_rows_at_once_than_16_bits_count(device, path):
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 2, (300_000,), generator=generator)
    values = torch.zeros(300_000, 3, dtype=torch.bfloat16)
    values[::7, 1] = 1.0
    values[:, 2] = torch.randn(300_000, generator=generator).bfloat16()
    found = NeuronStatistics(3, 2, device=device)
    found.calibrate(values[:2048].to(device), labels[:2048].to(device))
    found.update(values.to(device), labels.to(device))
    expected = torch.zeros(3 * NUM_BINS * 2 + 1, dtype=torch.int32)
    count_classes(expected, values.double(), labels, labels < 0, found.edges.cpu().double())
    assert torch.equal(found.counts.cpu().flatten(), expected[:-1])


def test_labels_that_are_no_classes_are_told(device, path):
    values, labels = drawn()
    labels[5000] = 4
    with pytest.raises(ValueError, match="label"):
        streamed(NeuronStatistics, values, labels, 4, device=device).mutual_information()


@pytest.mark.parametrize("rows", [50, 3000])
@pytest.mark.parametrize("of_activations", ["cpu", "gpu"])
@pytest.mark.parametrize("of_counts", ["cpu", "gpu"])
def test_activations_of_another_device_than_the_counts(device, of_counts, of_activations, rows):
    """Few rows wait until the bits are asked for."""
    devices = {"cpu": torch.device("cpu"), "gpu": device}
    values, labels = drawn(rows)
    several, number = torch.stack([labels % 2, labels // 2], 1), labels + values[:, 0]
    soft = torch.nn.functional.one_hot(labels, 4).float()
    for kind, targets, size in (
        (NeuronStatistics, labels, 4),
        (MultiLabelStatistics, several, 2),
        (RegressionStatistics, number, 8),
        (SoftLabelStatistics, soft, 4),
    ):
        expected = streamed(kind, values, targets, size, device="cpu").mutual_information()
        found = kind(values.shape[1], size, device=devices[of_counts])
        there = devices[of_activations]
        for batch, of_batch in zip(values.split(700), targets.split(700), strict=True):
            found.update(batch.to(there), of_batch.to(there))
        assert torch.allclose(found.mutual_information().bits.cpu(), expected.bits, rtol=0, atol=1e-6), kind


def test_nonfinite_activations_are_told(device):
    values, labels = drawn(dtype=torch.bfloat16)
    values[4000, 3] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        streamed(NeuronStatistics, values, labels, 4, device=device).mutual_information()


def test_other_problem_types(device):
    values, labels = drawn()
    several = torch.stack([labels % 2, labels // 2], 1).float()
    number = labels + torch.rand(len(labels), generator=torch.Generator().manual_seed(1))
    for kind, targets, sizes in ((MultiLabelStatistics, several, (2,)), (RegressionStatistics, number, (8,))):
        expected = streamed(kind, values, targets, *sizes, device="cpu").mutual_information()
        found = streamed(kind, values, targets, *sizes, device=device).mutual_information()
        assert torch.allclose(found.bits.cpu(), expected.bits, rtol=0, atol=1e-6), kind


def test_second_moments_and_joint_information(device):
    values, labels = drawn()
    orders, covariances = [], []
    for where in ("cpu", device):
        moments = SecondMoments(values.shape[1], 4, device=where)
        moments.update(values.to(where), labels.to(where))
        covariances.append(moments.moments().covariance.cpu())
        orders.append(greedy_log_determinant(*moments.covariances()).order.tolist())
    assert torch.allclose(*covariances, rtol=0, atol=1e-10)
    assert orders[0] == orders[1]
