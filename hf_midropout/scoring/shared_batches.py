"""Batches with what all processes know of them: which rows came before, and whether all read the same data."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import PartialState
from accelerate.utils import gather_object

from ..information.copies import Copies, RowsSeen, row_keys
from ..information.reduction import check_same
from .inference import Batches, FixedBatches, LoaderBatches, NumberedBatch, StreamedBatches, split_labels


ROUNDS = 32
"""Rounds of batches that are read ahead, if there are several processes, to tell the others of their rows at once."""


class SharedBatch(NamedTuple):
    """
    Args:
        number (`int`, *optional*): Number of the batch; `None` for one to be run and not counted.
        inputs (`dict`): What the model takes.
        labels (`torch.Tensor`): Of each row.
        copies ([`Copies`]): Which rows came before, in whichever process.
    """

    number: int | None
    inputs: dict[str, Any]
    labels: torch.Tensor
    copies: Copies


def shared_batches(batches: Batches, problem_type: str) -> Iterator[SharedBatch]:
    """
    The batches of this process. Rows of the same inputs are copies; what is known of them adds up to the same for any
    number of processes.

    Raises:
        `ValueError`: on all processes, if they do not read the same data.
    """
    process = PartialState()
    seen = RowsSeen()
    if process.num_processes == 1:
        for number, batch in batches.of_process(0, 1):
            inputs, labels = split_labels(batch, batches.label_names)
            yield SharedBatch(number, inputs, labels, seen.add(*_rows(inputs, labels, problem_type)))
        return
    check_same(_data(batches))
    watched = None
    if isinstance(batches, StreamedBatches):
        watched = Watched(batches.dataset, batches.label_names)
        batches = replace(batches, dataset=watched)  # a wrapped copy: batches may be read again
    mine = iter(batches.of_process(process.process_index, process.num_processes))
    ended = False
    while not ended:
        read: list[NumberedBatch] = list(islice(mine, ROUNDS))
        ended = len(read) < ROUNDS
        same = {"number of batches": len(read)}
        if ended and watched is not None:
            same |= {"number of rows": watched.rows, "labels": watched.digest}
        check_same(same)
        parts = [(number, *split_labels(batch, batches.label_names)) for number, batch in read]
        everyones = gather_object(
            [(number, *_rows(inputs, labels, problem_type)) for number, inputs, labels in parts if number is not None]
        )
        everyones.sort(key=lambda entry: entry[0])
        copies = {number: seen.add(keys, labels) for number, keys, labels in everyones}
        for number, inputs, labels in parts:
            yield SharedBatch(number, inputs, labels, copies.get(number, Copies.of_entries([])))


class Watched:
    """
    A stream that notes what was read of it.

    Args:
        dataset (`Iterable`): What gives the rows.
        label_names (`Sequence[str]`): Keys of a row that may hold its label.
    """

    def __init__(self, dataset: Iterable, label_names: Sequence[str]):
        self.dataset = dataset
        self.label_names = label_names
        self.rows = 0
        self.digest = 0

    def __iter__(self) -> Iterator:
        for item in self.dataset:
            self.rows += 1
            self.digest = zlib.crc32(repr([item.get(name) for name in self.label_names]).encode(), self.digest)
            yield item


def _data(batches: Batches) -> dict[str, Any]:
    """What is cheap to compare of the data of several processes: lengths, order and labels."""
    known: dict[str, Any] = {"max_samples": batches.max_samples}
    if not isinstance(batches, LoaderBatches):
        known["rows in a batch"] = batches.batch_size
    if not isinstance(batches, FixedBatches):
        return known
    order = torch.cat(batches.batches).numpy().tobytes() if batches.batches else b""
    known |= {"number of rows": len(batches.dataset), "order": zlib.crc32(order)}
    columns = getattr(batches.dataset, "column_names", None) or []
    column = next((name for name in batches.label_names if name in columns), None)
    if column is not None:
        labels = batches.dataset.with_format("numpy", columns=[column])[column][:]
    elif batches.batches:
        labels = split_labels(next(iter(batches.of_process(0, 1)))[1], batches.label_names)[1]
    else:
        return known
    return known | {"labels": zlib.crc32(np.ascontiguousarray(labels).tobytes())}


def _rows(
    inputs: Mapping[str, Any], labels: torch.Tensor, problem_type: str
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """`[N]` keys of rows, and their classes; or keys of rows and their labels together, if these are no classes."""
    keys = input_keys(inputs)
    if keys is None or len(keys) != len(labels):
        return torch.empty(0, dtype=torch.int64), None
    if problem_type == "single_label_classification" and labels.ndim == 1 and not labels.is_floating_point():
        return keys, labels
    return keys * 3 + row_keys(labels.reshape(len(labels), -1).double()), None


def input_keys(inputs: Mapping[str, Any]) -> torch.Tensor | None:
    """
    `[N]` int64 hashes of the rows of a model's inputs: equal for rows that are the same, however much they are padded
    on either side. `None` if no input is a tensor.
    """
    mask = inputs.get("attention_mask")
    keys = None
    for name, value in sorted(inputs.items()):
        if not isinstance(value, torch.Tensor) or value.ndim == 0 or name == "attention_mask":
            continue
        value = value.detach().cpu()
        if mask is not None and mask.ndim == 2 and value.shape[:2] == mask.shape:
            shown = mask.cpu().bool()
            place = shown.cumsum(1)  # from 1 on, wherever the padding is
        else:
            value = value.flatten(1) if value.ndim > 1 else value[:, None]
            shown = torch.ones(value.shape[:2], dtype=torch.bool)
            place = shown.cumsum(1)
        bits = _mixed(value.double().contiguous().view(torch.int64).reshape(*place.shape, -1))
        bits = (bits * _mixed(torch.arange(1, bits.shape[2] + 1))).sum(2)
        of_input = (bits * (_mixed(place) | 1) * shown).sum(1) * (2 * zlib.crc32(name.encode()) + 1)
        keys = of_input if keys is None else keys + of_input
    return keys


def _mixed(values: torch.Tensor) -> torch.Tensor:
    """64-bit integers of which each bit depends on all (the finalizer of splitmix64)."""
    values = values + 0x1E3779B97F4A7C15
    values = (values ^ (values >> 30)) * -0x40A7B892E31B1A47
    values = (values ^ (values >> 27)) * -0x6B2FB644ECCEEE15
    return values ^ (values >> 31)
