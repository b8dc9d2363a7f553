"""What a stream does on a GPU for each batch never makes the CPU wait."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from hf_midropout.information import NeuronStatistics
from hf_midropout.information.counting.by_class import add_copies, count_classes
from hf_midropout.information.counting.edges import NUM_BINS


WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "bincount", "equal.default", "is_nonzero")


class NoWaits(TorchDispatchMode):
    """An operation that would need a value, or a size that depends on values, is an error."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = str(function)
        assert not any(part in name for part in WAITING), name
        if name.startswith("aten.index"):
            assert all(each is None or each.dtype != torch.bool for each in args[1]), name
        return function(*args, **(kwargs or {}))


def test_torch_counts_without_asking_for_a_value():
    """In float64 the CPU goes the way of a GPU."""
    activations, edges = torch.randn(300, 5).double(), torch.randn(5, NUM_BINS - 1).double().sort(1).values
    labels, columns = torch.randint(-1, 3, (300,)), torch.randint(0, 3, (300,))
    cells = torch.zeros(5 * NUM_BINS * 3 + 1, dtype=torch.int32)
    copies = torch.zeros(3, 5, NUM_BINS, 3, dtype=torch.int64)
    with NoWaits():
        count_classes(cells, activations, labels, labels < 0, edges)
        add_copies(copies, activations, edges, [[(columns, torch.ones(300, dtype=torch.int64))]] * 3)
        with pytest.raises(AssertionError, match="_local_scalar_dense"):
            int(cells.sum())
    assert int(cells[:-1].sum()) == 5 * int((labels >= 0).sum()) and int(copies.sum()) == 3 * 5 * 300


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
@pytest.mark.parametrize("path", ["cuda", "triton", "torch"])
def test_updates_on_a_gpu_never_wait(path, monkeypatch):
    monkeypatch.setenv("MIDROPOUT_GPU_COUNTING", path)
    generator = torch.Generator("cuda").manual_seed(0)
    activations = torch.randn(9000, 40, generator=generator, device="cuda", dtype=torch.bfloat16)
    labels = torch.randint(0, 4, (9000,), generator=generator, device="cuda")
    statistics = NeuronStatistics(40, 4, device="cuda")
    statistics.calibrate(activations[:2048], labels[:2048])
    torch.cuda.set_sync_debug_mode("error")
    try:
        for rows, of_rows in zip(activations.split(1500), labels.split(1500), strict=True):
            statistics.update(rows, of_rows)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    expected = NeuronStatistics(40, 4)
    expected.edges = statistics.edges.cpu()
    for rows, of_rows in zip(activations.cpu().split(1500), labels.cpu().split(1500), strict=True):
        expected.update(rows, of_rows)
    assert torch.equal(statistics.counts.cpu(), expected.counts)
