"""Batches that are read ahead by other processes are those that are read here."""

import random
import traceback

import numpy as np
import pytest
import torch
from conftest import make_rows
from torch.utils.data import get_worker_info

from hf_midropout.pruning.steps.data_checks import UnusableData, check_batches
from hf_midropout.scoring.batches import FixedBatches


class Drawn:
    """Rows that draw from the global generators and from one of their own, and tell who read them."""

    def __init__(self, rows: int):
        self.rows, self.generator = rows, np.random.default_rng(0)

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        if index == 6:
            raise OSError("the disk is gone")
        drawn = [random.random(), np.random.rand(), float(torch.rand(1)), self.generator.random()]
        return {"drawn": drawn, "labels": index % 2, "worker": -1 if (info := get_worker_info()) is None else info.id}


def collate(items):
    return {key: torch.tensor([item[key] for item in items]) for key in items[0]}


@pytest.mark.parametrize("num_processes", [1, 2])
def test_workers_give_the_same_batches_and_move_no_generator_on(num_processes):
    rows = Drawn(100)

    def read(num_workers: int) -> list:
        batches = FixedBatches(rows, 4, collate, max_samples=30, seed=1, num_workers=num_workers)
        assert 6 not in torch.cat(batches.batches)
        return [each for index in range(num_processes) for each in batches.of_process(index, num_processes)]

    alone = read(0)
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    ahead = read(2)
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert rows.generator.random() == np.random.default_rng(0).random()
    assert [number for number, _ in ahead] == [number for number, _ in alone]
    for (_, one), (_, other) in zip(alone, ahead, strict=True):
        assert torch.equal(one["drawn"], other["drawn"]) and torch.equal(one["labels"], other["labels"])
    first = [batch["worker"].unique().tolist() for _, batch in ahead[: 8 // num_processes]]
    assert first[0] == [-1]  # no process is started for one batch
    assert all(workers[0] >= 0 for workers in first[1:]) and all(len(workers) == 1 for workers in first)


def test_an_error_of_a_worker_is_raised_here():
    batches = FixedBatches(Drawn(8), 4, collate, num_workers=1)
    with pytest.raises(OSError, match="the disk is gone") as raised:
        list(batches.of_process(0, 1))
    traceback.clear_frames(raised.tb)  # else the worker stays, and whatever collects garbage later waits 5 s for it


def test_the_first_batch_is_tried_without_workers(tiny_model, monkeypatch):
    monkeypatch.setattr("hf_midropout.scoring.batches.DataLoader", lambda *_, **__: pytest.fail("started"))
    rows = make_rows(20, seed=1).with_format("torch")
    check_batches(FixedBatches(rows, 4, collate_rows, num_workers=2), tiny_model, 3)
    with pytest.raises(UnusableData, match="no rows"):
        check_batches(FixedBatches(rows.select([]), 4, collate_rows, num_workers=2), tiny_model, 3)


def collate_rows(items):
    return {key: torch.stack([item[key] for item in items]) for key in ("input_ids", "attention_mask", "labels")}
