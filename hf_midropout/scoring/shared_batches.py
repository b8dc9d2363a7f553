"""Batches with what all processes know of them: which rows came before, and whether all read the same data."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
from accelerate import PartialState

from ..information.copies import Copies
from ..information.row_keys import row_keys
from ..information.streaming.reduction import check_same
from ..information.streaming.rows_seen import RowsSeen
from .batches import Batches, FixedBatches, LoaderBatches, StreamedBatches, split_labels
from .passes import gather_numbered, labelled_batches


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
        for number, inputs, labels in labelled_batches(batches):
            yield SharedBatch(number, inputs, labels, seen.add(*_rows(inputs, labels, problem_type)))
        return
    check_same(_data(batches))
    digest = Digest(batches.label_names)
    if isinstance(batches, StreamedBatches):
        batches = replace(batches, note=digest.note_items)
    elif isinstance(batches, LoaderBatches):
        batches = replace(batches, note=digest.note_batch)
    mine = labelled_batches(batches, process.process_index, process.num_processes)
    ended = False
    while not ended:
        read = list(islice(mine, ROUNDS))
        ended = len(read) < ROUNDS
        same = {"number of batches": len(read)}
        if ended:
            same |= {"number of rows": digest.rows, "labels": digest.labels}
        check_same(same)
        everyones = gather_numbered(
            [(number, *_rows(inputs, labels, problem_type)) for number, inputs, labels in read if number is not None]
        )
        copies = {number: seen.add(keys, labels) for number, keys, labels in everyones}
        for number, inputs, labels in read:
            yield SharedBatch(number, inputs, labels, copies.get(number, Copies.of_entries([])))


@dataclass
class Digest:
    """
    Number and labels of the rows that were read, whatever process computes them.

    Args:
        label_names (`Sequence[str]`): Keys of a row or a batch that may hold the labels.
    """

    label_names: Sequence[str]
    rows: int = 0
    labels: int = 0

    def note_items(self, items: list) -> None:
        """Adds the rows of a stream."""
        self.rows += len(items)
        self._add([[item.get(name) for name in self.label_names] for item in items if isinstance(item, Mapping)])

    def note_batch(self, batch: dict[str, Any]) -> None:
        """Adds a batch that someone else collated."""
        labels = split_labels(batch, self.label_names)[1]
        self.rows += len(labels)
        self._add(labels.tolist())

    def _add(self, labels: list) -> None:
        self.labels = zlib.crc32(repr(labels).encode(), self.labels)


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
        labels = np.asarray(batches.dataset.with_format("numpy", columns=[column])[column][:])
    elif batches.batches:
        labels = next(labelled_batches(batches)).labels.cpu().numpy()
    else:
        return known
    # Of objects, the bytes are their places in memory.
    content = repr(labels.tolist()).encode() if labels.dtype.hasobject else np.ascontiguousarray(labels).tobytes()
    return known | {"labels": zlib.crc32(content)}


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
    on either side. `None` if inputs are not all tensors of N rows, so that it is not known what belongs to a row.
    """
    mask = inputs.get("attention_mask")
    keys = None
    for name, value in sorted(inputs.items()):
        if value is None or isinstance(value, (bool, int, float, str)):
            continue  # the same for all rows
        if not isinstance(value, torch.Tensor) or value.layout != torch.strided:
            return None
        if value.ndim == 0:
            continue
        if keys is not None and len(value) != len(keys):
            return None
        of_input = _masked_keys(value, mask) * (2 * zlib.crc32(name.encode()) + 1)
        keys = of_input if keys is None else keys + of_input
    return keys


def _masked_keys(value: torch.Tensor, mask: Any) -> torch.Tensor:
    """`[N]` hashes of the rows of one input; of one with tokens, where the `mask` has them."""
    value = value.detach().cpu()
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or value.shape[:2] != mask.shape:
        return _mixed(row_keys(value.reshape(len(value), math.prod(value.shape[1:]))))
    shown = mask.cpu().bool()
    place = shown.cumsum(1)  # from 1 on, wherever the padding is
    of_token = row_keys(value.reshape(shown.numel(), math.prod(value.shape[2:]))).view(shown.shape)
    return (_mixed(of_token + _mixed(place)) * shown).sum(1)


def _mixed(values: torch.Tensor) -> torch.Tensor:
    """64-bit integers of which each bit depends on all (the finalizer of splitmix64)."""
    values = values + 0x1E3779B97F4A7C15
    values = (values ^ (values >> 30)) * -0x40A7B892E31B1A47
    values = (values ^ (values >> 27)) * -0x6B2FB644ECCEEE15
    return values ^ (values >> 31)
