"""Batches of a dataset that are the same whatever the number of processes, each with a number; and their labels."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice
from typing import Any, cast

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset
from transformers import DataCollatorWithPadding, default_data_collator

from ..utils.generators import generators_of
from ..utils.random_state import preserved_random_state
from .inference import inner_model


LABEL_NAMES = ("labels", "label", "label_ids")

NumberedBatch = tuple[int | None, dict[str, Any]]
"""A batch and its number; `None` for a batch of another process, to be run and not counted."""


@dataclass
class FixedBatches:
    """
    The same batches whatever the number of processes: a seeded order of the dataset, cut into batches that are dealt
    out in turn. A batch is never split, so its activations are the same on whichever process it runs. Where dataset or
    collator draw random numbers, a batch's depend on its number alone, and no generator is moved on.

    Args:
        dataset (`datasets.Dataset` or `torch.utils.data.Dataset`): Map-style dataset of dictionaries.
        batch_size (`int`): Items in a batch.
        collate_fn (`Callable`): Makes a batch of a list of items.
        keys (`frozenset[str]`, *optional*): Keys of an item to keep; all by default.
        max_samples (`int`, *optional*): Items to use; all by default.
        seed (`int`, *optional*): Shuffles the dataset; `None` keeps its order.
        label_names (`Sequence[str]`, *optional*): Keys of a batch that may hold the labels.
        num_workers (`int`, *optional*, defaults to 0): Processes that read and collate ahead, as those of a
            `DataLoader`. Batches are the same for any number.
    """

    dataset: Any
    batch_size: int
    collate_fn: Callable[[list], dict[str, Any]]
    keys: frozenset[str] | None = None
    max_samples: int | None = None
    seed: int | None = None
    label_names: Sequence[str] = LABEL_NAMES
    num_workers: int = 0

    def __post_init__(self):
        size = len(self.dataset)
        if self.seed is None:
            order = torch.arange(size)
        else:
            order = torch.randperm(size, generator=torch.Generator().manual_seed(self.seed))
        # of no rows torch makes one part, which is empty
        self.batches = [part for part in order[: self.max_samples].split(self.batch_size) if len(part)]

    def of_process(self, index: int, num_processes: int) -> DealtBatches:
        """
        The batches `index`, `index + num_processes`, ... with their numbers. A process that would have one less than
        others gets one of theirs at the end, with `None` for its number: where weights are spread over processes, all
        must run as many forward passes.
        """
        return DealtBatches(self, index, num_processes)


@dataclass
class DealtBatches:
    """
    One process's share of [`FixedBatches`]: a sized iterable of (batch number, batch), one for each round.

    Args:
        source ([`FixedBatches`]): All batches.
        index (`int`): The process.
        num_processes (`int`): Batches in a round.
    """

    source: FixedBatches
    index: int
    num_processes: int

    def __len__(self) -> int:
        return -(-len(self.source.batches) // self.num_processes)

    def __iter__(self) -> Iterator[NumberedBatch]:
        source = self.source
        there, rounds = len(source.batches), range(0, len(source.batches), self.num_processes)
        numbers = [first + self.index if first + self.index < there else None for first in rounds]
        places = [first if number is None else number for first, number in zip(rounds, numbers, strict=True)]
        reader = NumberedReader(source, generators_of(source.dataset, source.collate_fn))
        if places:  # often it is all that is asked for: no process is started for it
            yield numbers[0], reader[places[0]]
        rest = places[1:]
        batches: Iterable[dict[str, Any]] = map(reader.__getitem__, rest)
        if source.num_workers and rest:
            batches = DataLoader(
                cast(Dataset, reader),
                sampler=rest,
                batch_size=None,
                collate_fn=as_it_is,
                num_workers=min(source.num_workers, len(rest)),
                generator=torch.Generator(),  # else it would draw from the global one
            )
        yield from zip(numbers[1:], batches, strict=True)


@dataclass
class NumberedReader:
    """
    Reads and collates a batch by its number, here or in a worker of a `DataLoader`.

    Args:
        source ([`FixedBatches`]): All batches.
        generators (`list`): Of random numbers, which the dataset or the collator may draw from.
    """

    source: FixedBatches
    generators: list[Any]

    def __getitem__(self, number: int) -> dict[str, Any]:
        dataset, rows = self.source.dataset, self.source.batches[number].tolist()
        with preserved_random_state(*self.generators, seed=number):
            # As a DataLoader does: a `datasets.Dataset` reads many rows at once for little more than one.
            items = dataset.__getitems__(rows) if hasattr(dataset, "__getitems__") else [dataset[row] for row in rows]
            return collate(items, self.source.keys, self.source.collate_fn)


def as_it_is(batch: Any) -> Any:
    """What a `DataLoader` is to make of a batch."""
    return batch


@dataclass
class StreamedBatches:
    """
    As [`FixedBatches`], of a dataset without a length: the first items that it gives, in its order. Every process
    reads the stream and computes its share.

    Args:
        note (`Callable`, *optional*): Is given the items of each batch that is read.
    """

    dataset: Any
    batch_size: int
    collate_fn: Callable[[list], dict[str, Any]]
    keys: frozenset[str] | None = None
    max_samples: int | None = None
    label_names: Sequence[str] = LABEL_NAMES
    note: Callable[[list], None] | None = None

    def of_process(self, index: int, num_processes: int) -> Iterator[NumberedBatch]:
        """As [`FixedBatches.of_process`]."""
        items: Iterator[dict[str, Any]] = iter([])
        first: dict[str, Any] = {}
        place = num_processes - 1  # of the last batch read, in its round
        generators = generators_of(self.dataset, self.collate_fn)
        for number in count():
            with preserved_random_state(*generators, seed=number):
                if number == 0:
                    items = islice(self.dataset, self.max_samples)
                chunk = list(islice(items, self.batch_size))
                if not chunk:
                    break
                if self.note is not None:
                    self.note(chunk)
                place = number % num_processes
                batch = collate(chunk, self.keys, self.collate_fn) if place in (0, index) else {}
            first = first if place else batch
            if place == index:
                yield number, batch
        if place < index:
            yield None, first


@dataclass
class LoaderBatches:
    """
    As [`FixedBatches`], of an iterable of batches that someone else collates; each process reads all and computes its
    share.

    Args:
        loader (`Iterable[dict]`): Gives the batches, anew each time.
        max_samples (`int`, *optional*): Items after which no batch is read; all by default.
        label_names (`Sequence[str]`, *optional*): Keys of a batch that may hold the labels.
        note (`Callable`, *optional*): Is given each batch that is read.
    """

    loader: Iterable[dict[str, Any]]
    max_samples: int | None = None
    label_names: Sequence[str] = LABEL_NAMES
    note: Callable[[dict[str, Any]], None] | None = None

    def of_process(self, index: int, num_processes: int) -> Iterator[NumberedBatch]:
        """As [`FixedBatches.of_process`]."""
        batches: Iterator[dict[str, Any]] = iter([])
        first: dict[str, Any] = {}
        place, rows = num_processes - 1, 0
        generators = generators_of(self.loader)
        for number in count():
            if self.max_samples is not None and rows >= self.max_samples:
                break
            with preserved_random_state(*generators, seed=number):
                if number == 0:
                    batches = iter(self.loader)
                batch = next(batches, None)
            if batch is None:
                break
            if self.note is not None:
                self.note(batch)
            place = number % num_processes
            first = first if place else batch
            rows += len(split_labels(batch, self.label_names)[1])
            if place == index:
                yield number, batch
        if place < index:
            yield None, first


Batches = FixedBatches | StreamedBatches | LoaderBatches


def collate(items: list[dict[str, Any]], keys: frozenset[str] | None, collate_fn) -> dict[str, Any]:
    """A batch of `items`, of which only `keys` are kept."""
    if keys is not None:
        items = [{key: value for key, value in item.items() if key in keys} for item in items]
    return collate_fn(items)


def batches_for(
    model: nn.Module,
    dataset,
    batch_size: int,
    collate_fn: Callable[[list], dict[str, Any]] | None = None,
    processing_class=None,
    remove_unused_columns: bool = True,
    max_samples: int | None = None,
    seed: int | None = None,
    label_names: Sequence[str] = LABEL_NAMES,
    num_workers: int = 0,
) -> Batches:
    """
    [`FixedBatches`], or [`StreamedBatches`] of a dataset without a length, collated as the Trainer does by default,
    without what `model.forward` does not take. `num_workers` processes read the former ahead.
    """
    if collate_fn is None:
        collate_fn = DataCollatorWithPadding(processing_class) if processing_class else default_data_collator
    if max_samples is not None and max_samples < 1:
        raise ValueError(f"max_samples={max_samples}: must be 1 or more, or None for all.")
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: must be 1 or more.")
    keys = None
    if remove_unused_columns:
        keys = frozenset(inspect.signature(inner_model(model).forward).parameters) | {*LABEL_NAMES, *label_names}
    if not hasattr(dataset, "__len__"):
        return StreamedBatches(dataset, batch_size, collate_fn, keys, max_samples, label_names)
    return FixedBatches(dataset, batch_size, collate_fn, keys, max_samples, seed, label_names, num_workers)


def split_labels(batch: dict[str, Any], names: Sequence[str] = LABEL_NAMES) -> tuple[dict[str, Any], torch.Tensor]:
    """A batch's inputs, and its labels, which are under one of `names`; `ValueError` if it has none."""
    name = next((name for name in names if name in batch), None)
    if name is None:
        raise ValueError(f"A batch holds {', '.join(batch)} but no labels: needs one of {', '.join(names)}.")
    return {key: value for key, value in batch.items() if key != name}, batch[name]
