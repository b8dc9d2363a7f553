"""Drops neurons from a model, and proves that a compact model computes the same."""

from __future__ import annotations

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from torch import nn

from .inference import FixedBatches, frozen_inference, split_labels, to_device
from .selection import Selection


class CompactionError(RuntimeError):
    """A compact model does not give the logits of the masked model it was made from."""


def agree(selection: Selection) -> Selection:
    """The selection of the main process, on every process: all ranks must drop the same neurons."""
    if PartialState().num_processes == 1:
        return selection
    return broadcast_object_list([selection])[0]


def apply_selection(model: nn.Module, selection: Selection) -> None:
    """
    Drops every neuron that `selection` does not keep. Masks change in place, so optimizer, DDP and compiled graphs go
    on as they were; a neuron dropped before stays dropped.

    Raises:
        `ValueError`: if the selection was made for other layers or widths.
    """
    layers = model.masked_layers()
    expected = {name: layer.mask.numel() for name, layer in layers.items()}
    given = {name: mask.numel() for name, mask in selection.kept.items()}
    if expected != given:
        raise ValueError(f"The selection is for layers of {given} neurons, but the model has {expected}.")
    for name, layer in layers.items():
        layer.mask.logical_and_(selection.kept[name].to(layer.mask.device))


def is_pruned(model: nn.Module) -> bool:
    """Whether any neuron of `model` has been dropped."""
    return any(not bool(layer.mask.all()) for layer in model.masked_layers().values())


@torch.no_grad()
def verify_compaction(
    masked: nn.Module, compact: nn.Module, batches: FixedBatches, atol: float = 1e-5, max_batches: int = 8
) -> float:
    """
    Compares the logits of the two models on real inputs, in eval mode and the dtype they are in.

    Args:
        masked ([`MIDropoutAlbertForSequenceClassification`]): The model with masks.
        compact ([`MIDropoutAlbertForSequenceClassification`]): What `masked.compact()` gave.
        batches ([`FixedBatches`]): Inputs.
        atol (`float`, *optional*, defaults to 1e-5): Largest absolute difference allowed, in float32.
        max_batches (`int`, *optional*, defaults to 8): Batches to compare.

    Returns:
        `float`: the largest absolute difference of a logit.

    Raises:
        [`CompactionError`]: if a logit differs by more than `atol`, or is NaN.
    """
    largest = 0.0
    for number, batch in batches.of_process(0, 1):
        if number >= max_batches:
            break
        inputs, _ = split_labels(batch)
        with frozen_inference(masked), frozen_inference(compact):
            expected = masked(**to_device(inputs, masked)).logits.float()
            actual = compact(**to_device(inputs, compact)).logits.float().to(expected.device)
        difference = float((expected - actual).abs().max())
        if not difference <= atol:
            raise CompactionError(f"Logits of the compact model differ by {difference:.2e}: {atol:.0e} is allowed.")
        largest = max(largest, difference)
    return largest
