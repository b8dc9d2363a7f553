"""Batches, their labels, and what a model makes of them; what processes have gathered of numbered batches."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, NamedTuple

import torch
from accelerate import PartialState
from accelerate.utils import gather_object, send_to_device
from torch import nn

from .batches import Batches, split_labels
from .inference import to_device


class LabelledBatch(NamedTuple):
    """
    Args:
        number (`int`, *optional*): Number of the batch; `None` for one to be run and not counted.
        inputs (`dict`): What the model takes.
        labels (`torch.Tensor`): Of each row.
    """

    number: int | None
    inputs: dict[str, Any]
    labels: torch.Tensor


class ForwardPass(NamedTuple):
    """
    Args:
        number (`int`, *optional*): Number of the batch; `None` for one that does not count.
        inputs (`dict`): What the model took, on its device.
        labels (`torch.Tensor`): Of each row, where the batch had them.
        outputs (`Any`): What the model gave.
    """

    number: int | None
    inputs: dict[str, Any]
    labels: torch.Tensor
    outputs: Any


def labelled_batches(batches: Batches, index: int = 0, num_processes: int = 1) -> Iterator[LabelledBatch]:
    """The share of process `index` (by default all of `batches`), labels apart from inputs."""
    for number, batch in batches.of_process(index, num_processes):
        yield LabelledBatch(number, *split_labels(batch, batches.label_names))


def forward_passes(
    model: nn.Module, batches: Batches, index: int = 0, num_processes: int = 1
) -> Iterator[ForwardPass]:
    """
    Runs `model` over its share of `batches`, in the mode and with the gradients that the caller has set: as a rule
    within [`~inference.frozen_inference`].
    """
    for number, inputs, labels in labelled_batches(batches, index, num_processes):
        inputs = to_device(inputs, model)
        yield ForwardPass(number, inputs, labels, model(**inputs))


def rounds(batches: Batches, num_processes: int) -> int | None:
    """Batches that each of the processes runs; `None` if that is not known before they are read."""
    dealt = batches.of_process(0, num_processes)
    return len(dealt) if isinstance(dealt, Sized) else None


def gather_numbered(entries: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """
    What all processes have of their batches, in the order of the batches.

    Args:
        entries (`list[tuple]`): Number of a batch and what was made of it; from several processes, tensors come to the
            CPU.
    """
    if PartialState().num_processes > 1:
        entries = gather_object(send_to_device(entries, "cpu"))
    return sorted(entries, key=lambda entry: entry[0])
