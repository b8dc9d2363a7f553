"""
Run by test_triton_kernel.py in a process with TRITON_INTERPRET=1, which triton reads when it is imported: the kernel
counts as torch does on a GPU, to the last count. That path runs on the CPU too, in float64.
"""

from __future__ import annotations

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hf_midropout.information.counting import one_read
from hf_midropout.information.counting.binning import add_counts
from hf_midropout.information.counting.by_class import count_classes
from hf_midropout.information.counting.edges import NUM_BINS, stream_edges
from hf_midropout.information.counting.triton_kernel import BlockSize, count_in_one_read


DTYPES = [torch.bfloat16, torch.float16, torch.float32]
SPECIAL = torch.tensor([torch.nan, torch.inf, -torch.inf, 0.0, -0.0, 1e-40, 65504.0])


def made(rows: int, neurons: int, classes: int, dtype: torch.dtype, seed: int) -> tuple[torch.Tensor, ...]:
    """Activations with ties, labels of which some are left out, and edges of which some are activations."""
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(rows, neurons, generator=generator)
    activations[:, ::3] = activations[:, ::3].relu()
    activations[:, 1::3] = activations[:, 1::3].round()
    activations = activations.to(dtype)
    labels = torch.randint(-1, classes, (rows,), generator=generator)
    return activations, labels, stream_edges(activations[: max(1, rows // 2)].float())


def counted(activations, labels, edges, classes, block=None) -> tuple[torch.Tensor, torch.Tensor]:
    neurons = len(edges)
    cells = torch.zeros(neurons * NUM_BINS * classes + 1, dtype=torch.int32)
    nonfinite = torch.zeros(neurons, dtype=torch.int32)
    count_in_one_read(cells, nonfinite, activations, labels, edges, block)
    assert cells[-1] == 0
    return cells[:-1], nonfinite


def check(activations, labels, edges, classes, block=None):
    cells, nonfinite = counted(activations, labels, edges, classes, block)
    expected = torch.zeros(cells.numel() + 1, dtype=torch.int32)
    count_classes(expected, activations.double(), labels, labels < 0, edges.double())
    assert torch.equal(cells, expected[:-1])
    assert torch.equal(nonfinite, (~activations.isfinite()).sum(0, dtype=torch.int32))


@given(
    rows=st.integers(1, 150), neurons=st.integers(1, 20), classes=st.integers(2, 20), seed=st.integers(0, 2**31),
    dtype=st.sampled_from(DTYPES), special=st.integers(0, 20),
    block=st.sampled_from([BlockSize(), BlockSize(32, 8, 2, 2), BlockSize(128, 32, 1, 8)]),
)  # fmt: skip
@example(rows=129, neurons=17, classes=20, seed=0, dtype=torch.bfloat16, special=7, block=BlockSize())
@settings(max_examples=20)
def test_counts_are_those_of_torch(rows, neurons, classes, dtype, seed, special, block):
    activations, labels, edges = made(rows, neurons, classes, dtype, seed)
    generator = torch.Generator().manual_seed(seed)
    for value in SPECIAL[torch.randint(0, len(SPECIAL), (special,), generator=generator)]:
        row, neuron = (
            torch.randint(0, rows, (), generator=generator),
            torch.randint(0, neurons, (), generator=generator),
        )
        activations[row, neuron] = value
    check(activations, labels, edges, classes, block)


@pytest.mark.parametrize("dtype", DTYPES)
def test_counts_are_those_of_the_cpu(dtype):
    activations, labels, edges = made(300, 20, 5, dtype, seed=1)
    activations[3, :5], activations[4, :5] = torch.inf, -torch.inf
    cells, _ = counted(activations, labels, edges, 5)
    expected = torch.zeros(20, NUM_BINS, 5, dtype=torch.int32)
    kept = labels >= 0
    add_counts(expected, activations[kept].float(), labels[kept], edges)
    assert torch.equal(cells, expected.flatten())


@pytest.mark.parametrize("dtype", DTYPES)
def test_views_are_read_where_they_are(dtype):
    activations, labels, edges = made(90, 30, 3, dtype, seed=2)
    views = {
        "transposed": activations.t().contiguous().t(),
        "every second row": activations.repeat_interleave(2, 0)[::2],
        "part of the neurons": torch.cat([activations, activations], 1)[:, 30:],
        "one row for all": activations[:1].expand(90, 30),
    }
    for view in views.values():
        check(view, labels, edges, 3)
    check(activations, labels.repeat_interleave(2)[::2], edges, 3)


def test_edges_that_are_equal_or_not_finite():
    activations, labels, edges = made(100, 6, 4, torch.float32, seed=3)
    edges[0] = 0.0
    edges[1, :200], edges[1, 300:] = -torch.inf, torch.inf
    edges[2, 500:] = torch.nan  # sorted, they come last
    activations[:50, :3] = 0.0
    activations[50:53, 1] = torch.tensor([torch.inf, -torch.inf, torch.nan])
    check(activations, labels, edges, 4)


def test_counts_add_to_those_of_before():
    activations, labels, edges = made(120, 9, 3, torch.bfloat16, seed=4)
    cells, nonfinite = counted(activations, labels, edges, 3)
    parts = torch.zeros(cells.numel() + 1, dtype=torch.int32)
    for some in (slice(0, 50), slice(50, 50), slice(50, 120)):
        count_in_one_read(parts, nonfinite, activations[some], labels[some], edges)
    assert torch.equal(parts[:-1], cells)


def test_labels_that_are_no_classes_are_not_counted():
    activations, labels, edges = made(60, 5, 3, torch.float32, seed=5)
    labels[::4], labels[1::4] = 3, 2**32  # which is 0 in 32 bits
    cells, _ = counted(activations, labels, edges, 3)
    assert int(cells.sum()) == 5 * int(((labels >= 0) & (labels < 3)).sum())


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_self_test_passes_and_sees_a_kernel_that_counts_wrong(monkeypatch, dtype):
    cpu = torch.device("cpu")
    assert one_read.agrees(cpu, "triton", dtype)
    from hf_midropout.information.counting import triton_kernel

    def wrong(cells, nonfinite, activations, labels, edges):
        count_in_one_read(cells, nonfinite, activations, labels, edges)
        cells[7] += 1

    monkeypatch.setattr(triton_kernel, "count_in_one_read", wrong)
    assert not one_read.agrees(cpu, "triton", dtype)
