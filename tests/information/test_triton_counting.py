import importlib.util
import logging
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from hf_midropout.information import NeuronStatistics, one_read


HAS_TRITON = importlib.util.find_spec("triton") is not None
CUDA = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def forgotten():
    """What was found out about devices in other tests."""
    one_read._passes_self_test.cache_clear()
    yield
    one_read._passes_self_test.cache_clear()


@pytest.mark.skipif(not HAS_TRITON, reason="triton is not installed; it comes with torch for CUDA")
def test_the_kernel_in_triton_s_interpreter():
    file = Path(__file__).with_name("interpreted_counting.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(file)]
    # As a child of a worker of pytest-xdist it would take its options for its own.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        command, env={**environment, "TRITON_INTERPRET": "1"}, cwd=file.parents[2], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_cpu_counts_by_itself():
    assert not one_read.is_usable(torch.device("cpu"))


def test_it_can_be_turned_off(monkeypatch):
    monkeypatch.setattr(one_read, "agrees", lambda device: True)
    assert one_read.is_usable(CUDA)
    monkeypatch.setenv("MIDROPOUT_TRITON", "0")
    assert not one_read.is_usable(CUDA)


def test_it_is_tried_once_for_each_device(monkeypatch):
    tried = []
    monkeypatch.setattr(one_read, "agrees", lambda device: not tried.append(device))
    assert one_read.is_usable(CUDA) and one_read.is_usable(CUDA) and one_read.is_usable(torch.device("cuda", 1))
    assert tried == [CUDA, torch.device("cuda", 1)]


def test_a_kernel_that_counts_otherwise_is_not_used(monkeypatch, caplog):
    monkeypatch.setattr(one_read, "agrees", lambda device: False)
    with caplog.at_level(logging.WARNING):
        assert not one_read.is_usable(CUDA)
        assert not one_read.is_usable(CUDA)
    (message,) = caplog.messages
    assert "cuda:0" in message and "otherwise" in message and "MIDROPOUT_TRITON=0" in message


def test_nor_is_one_that_cannot_be_compiled(monkeypatch, caplog):
    def fail(device):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(one_read, "agrees", fail)
    with caplog.at_level(logging.WARNING):
        assert not one_read.is_usable(CUDA)
    assert "no compiler" in caplog.text


def test_without_triton_nothing_is_said(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "hf_midropout.information.triton_counting", raising=False)
    monkeypatch.setattr(one_read, "waiting_is_allowed", lambda device: nullcontext())  # there may be no GPU
    with caplog.at_level(logging.WARNING):
        assert not one_read.is_usable(CUDA)
    assert caplog.text == ""


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
