"""The estimator gives on a GPU what it gives on the CPU."""

import pytest
import torch

from hf_midropout.information import MultiLabelStatistics, NeuronStatistics, RegressionStatistics, mutual_information
from hf_midropout.information.edges import stream_edges
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


@pytest.mark.parametrize("triton", ["1", "0"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_and_bits_of_a_stream(device, dtype, triton, monkeypatch):
    monkeypatch.setenv("MIDROPOUT_TRITON", triton)
    values, labels = drawn(dtype=dtype)
    expected = streamed(NeuronStatistics, values, labels, 4, device="cpu")
    found = streamed(NeuronStatistics, values, labels, 4, device=device)
    assert torch.equal(found.counts.cpu(), expected.counts)
    assert_close(found.mutual_information(), expected.mutual_information())


def test_the_kernel_is_used_and_takes_any_strides(device):
    from hf_midropout.information import one_read

    if device.type == "cuda":
        pytest.importorskip("triton")
        assert one_read.is_usable(device)
    values, labels = drawn(dtype=torch.bfloat16)
    wide = torch.zeros(6000, 48, dtype=torch.bfloat16)
    wide[:, ::2] = values
    expected = streamed(NeuronStatistics, values, labels, 4, device="cpu")
    found = NeuronStatistics(24, 4, device=device)
    every_other, transposed = wide.to(device)[:, ::2], values.to(device).t().contiguous().t()
    for start, source in ((0, every_other), (3000, transposed)):
        found.update(source[start : start + 3000], labels[start : start + 3000].to(device))
    assert torch.equal(found.counts.cpu(), expected.counts)


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
