"""Which kernel is chosen."""

import logging
import sys
from contextlib import nullcontext

import pytest
import torch

from hf_midropout.information import NeuronStatistics
from hf_midropout.information.counting import one_read


CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")
HALF = torch.bfloat16


@pytest.fixture(autouse=True)
def forgotten(monkeypatch):
    """What was found out about devices in other tests."""
    one_read.reason_against.cache_clear()
    monkeypatch.setattr(one_read, "_proven", set())
    yield
    one_read.reason_against.cache_clear()


def agreeing(*paths):
    return lambda device, path, dtype: path in paths


def test_the_cpu_counts_by_itself():
    assert one_read.counting_path(CPU, HALF) == "torch"


def test_other_dtypes_are_counted_by_torch(monkeypatch):
    monkeypatch.setattr(one_read, "agrees", agreeing("cuda", "triton"))
    assert one_read.counting_path(CUDA, torch.float64) == "torch"


@pytest.mark.parametrize(
    ("chosen", "works", "path"),
    [
        (None, ("cuda", "triton"), "cuda"),
        ("auto", ("triton",), "triton"),
        ("auto", (), "torch"),
        ("cuda", ("cuda", "triton"), "cuda"),
        ("cuda", ("triton",), "torch"),
        ("triton", ("cuda", "triton"), "triton"),
        ("triton", ("cuda",), "torch"),
        ("torch", ("cuda", "triton"), "torch"),
    ],
)
def test_the_choice(chosen, works, path, monkeypatch):
    monkeypatch.delenv("MIDROPOUT_GPU_COUNTING", raising=False)
    if chosen:
        monkeypatch.setenv("MIDROPOUT_GPU_COUNTING", chosen)
    monkeypatch.setattr(one_read, "agrees", agreeing(*works))
    assert one_read.counting_path(CUDA, HALF) == path


def test_other_choices_are_told(monkeypatch):
    monkeypatch.setenv("MIDROPOUT_GPU_COUNTING", "0")
    with pytest.raises(ValueError, match="MIDROPOUT_GPU_COUNTING=0: must be auto, cuda, triton or torch"):
        one_read.counting_path(CUDA, HALF)


def test_a_short_stream_compiles_nothing(monkeypatch):
    tried = []
    monkeypatch.delenv("MIDROPOUT_GPU_COUNTING", raising=False)
    monkeypatch.setattr(one_read, "agrees", lambda *what: not tried.append(what))
    few, many = one_read.WORTH_COMPILING - 1, one_read.WORTH_COMPILING
    assert one_read.counting_path(CUDA, HALF, few) == "torch" and tried == []
    monkeypatch.setenv("MIDROPOUT_GPU_COUNTING", "triton")
    assert one_read.counting_path(CUDA, torch.float32, few) == "triton"  # asked for
    monkeypatch.delenv("MIDROPOUT_GPU_COUNTING")
    assert one_read.counting_path(CUDA, HALF, many) == "cuda"
    assert one_read.counting_path(CUDA, HALF, few) == "cuda"  # compiled already


def test_each_is_tried_once_for_a_device_and_dtype(monkeypatch):
    tried = []
    monkeypatch.setattr(one_read, "agrees", lambda *what: not tried.append(what))
    other = torch.device("cuda", 1)
    for device, dtype in ((CUDA, HALF), (CUDA, HALF), (other, HALF), (CUDA, torch.float32)):
        assert one_read.counting_path(device, dtype) == "cuda"
    assert tried == [(CUDA, "cuda", HALF), (other, "cuda", HALF), (CUDA, "cuda", torch.float32)]


def test_a_kernel_that_counts_otherwise_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(one_read, "agrees", agreeing("triton"))
    with caplog.at_level(logging.WARNING):
        assert one_read.counting_path(CUDA, HALF) == "triton"
        assert one_read.counting_path(CUDA, HALF) == "triton"
    (message,) = caplog.messages
    assert "cuda kernel" in message and "cuda:0" in message and "otherwise" in message
    assert "MIDROPOUT_GPU_COUNTING=torch" in message


def test_nor_is_one_that_cannot_be_compiled(monkeypatch, caplog):
    def fail(device, path, dtype):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(one_read, "agrees", fail)
    with caplog.at_level(logging.WARNING):
        assert one_read.counting_path(CUDA, HALF) == "torch"
    assert "no compiler" in caplog.text


def test_what_is_not_installed_is_no_warning(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "hf_midropout.information.counting.triton_kernel", raising=False)
    monkeypatch.setattr(one_read, "waiting_is_allowed", lambda device: nullcontext())
    monkeypatch.setattr(torch.Tensor, "to", lambda tensor, *arguments: tensor)  # there may be no GPU
    monkeypatch.setattr(torch, "zeros", lambda *size, device, dtype, zeros=torch.zeros: zeros(*size, dtype=dtype))
    monkeypatch.setenv("MIDROPOUT_GPU_COUNTING", "triton")
    with caplog.at_level(logging.WARNING):
        assert one_read.counting_path(CUDA, HALF) == "torch"
    assert caplog.text == ""
    assert "ModuleNotFoundError" in one_read.reason_against(CUDA, "triton", HALF)


def test_torch_without_nvrtc_is_no_warning(monkeypatch, caplog):
    from hf_midropout.information.counting import cuda_kernel

    monkeypatch.delattr(torch.cuda, "_compile_kernel")
    cuda_kernel.kernel_for.cache_clear()
    monkeypatch.setattr(
        one_read, "agrees", lambda device, path, dtype: path == "triton" or cuda_kernel.kernel_for(device, dtype, 3)
    )
    with caplog.at_level(logging.WARNING):
        assert one_read.counting_path(CUDA, HALF) == "triton"
    assert caplog.text == ""


def test_the_self_test_sees_a_kernel_that_counts_wrong(monkeypatch):
    from hf_midropout.information.counting.by_class import count_classes

    def counting(wrong):
        def run(path, cells, nonfinite, ignored, invalid, activations, labels, edges):
            left_out = (labels < 0) | (labels >= 3)
            count_classes(cells, activations.double(), labels, left_out, edges.double())
            nonfinite += (~activations.isfinite()).sum(0, dtype=torch.int32)
            ignored += (labels == -100).sum()
            invalid += (left_out & (labels != -100)).sum()
            if wrong:
                {"cells": cells, "nonfinite": nonfinite, "ignored": ignored[None], "invalid": invalid[None]}[wrong][
                    0
                ] += 1

        return run

    for wrong in (None, "cells", "nonfinite", "ignored", "invalid"):
        monkeypatch.setattr(one_read, "run_kernel", counting(wrong))
        assert one_read.agrees(CPU, "cuda", HALF) == (wrong is None)


def test_a_batch_belongs_to_the_caller_again_after_update():
    """Batches that are counted at once are not copied, those that wait are."""
    generator = torch.Generator().manual_seed(0)
    activations = torch.randn(5000, 6, generator=generator)
    labels = torch.randint(0, 3, (5000,), generator=generator)
    expected, found = NeuronStatistics(6, 3), NeuronStatistics(6, 3)
    for rows in (1000, 700, 900, 2400):
        expected.update(activations[:rows].clone(), labels[:rows].clone())
        batch, of_batch = activations[:rows].clone(), labels[:rows].clone()
        found.update(batch, of_batch)
        batch.fill_(9.0)
        of_batch.fill_(2)
    assert torch.equal(found.edges, expected.edges) and torch.equal(found.counts, expected.counts)


def test_activations_go_where_the_counts_are():
    """To a device of which nothing can be read: rows wait there."""
    statistics = NeuronStatistics(3, 2, device="meta")
    statistics.update(torch.randn(20, 3), torch.arange(20) % 2)
    (batch,) = statistics._waiting.batches
    assert batch.activations.device.type == batch.labels.device.type == "meta"
