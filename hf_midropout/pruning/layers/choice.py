"""Which layers of an encoder go: one after the other the one without which the prediction changes least."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...groups.dropping import only_layers
from ...groups.layers import check_number, encoder_layers
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference, to_device
from ...scoring.passes import labelled_batches
from ..comparison.predictions import divergence


ROWS = 256
"""Rows that removals are compared on."""


@dataclass
class LayerChoice:
    """
    Args:
        kept (`list[int]`): Layers that stay. Of an encoder whose layers are all one, applications that the remaining
            ones stand for: evenly spaced.
        costs (`list[tuple[list[int], float]]`): In the order of their removal: layers that went together, and bits by
            which the prediction differs from the dense one without them and those before, nothing refitted.
    """

    kept: list[int]
    costs: list[tuple[list[int], float]] = field(default_factory=list)


def choose_layers(model: nn.Module, batches: Batches, number: int, rows: int = ROWS) -> LayerChoice:
    """
    Leaves `number` layers of `model`, which is as it was afterwards.

    Args:
        model ([`~transformers.PreTrainedModel`]): A classifier.
        batches (`Batches`): Rows to compare predictions on.
        number (`int`): Layers to keep.
        rows (`int`, *optional*, defaults to 256): Rows of these to use.

    Raises:
        `ValueError`: for a `number` of layers to keep that `model` cannot be cut to.
    """
    check_number(model, number)
    layers = encoder_layers(model)
    choice = LayerChoice(list(range(layers.number)))
    if number == layers.number:
        return choice
    inputs = some_inputs(model, batches, rows)
    total, shared, units = layers.number, layers.is_shared, layers.units
    with frozen_inference(model):
        dense = logits(model, inputs)
        while len(choice.kept) > number:
            tried: list[tuple[float, tuple[int, ...]]] = []
            # Of layers that are one and the same it makes no difference which goes.
            for unit in [units[-1]] if shared else units:
                with only_layers(model, [layer for layer in choice.kept if layer not in unit]):
                    tried.append((float(divergence(dense, logits(model, inputs)).mean()), unit))
            bits, unit = min(tried)
            units = [each for each in units if each != unit]
            choice.kept = [layer for layer in choice.kept if layer not in unit]
            choice.costs.append((list(unit), bits))
    if shared:
        choice.kept = [place * total // number for place in range(number)]
    return choice


def some_inputs(model: nn.Module, batches: Batches, rows: int) -> list[dict[str, Any]]:
    """The first batches, until they have `rows` rows."""
    inputs: list[dict[str, Any]] = []
    for _, batch, labels in labelled_batches(batches):
        inputs.append(to_device(batch, model))
        rows -= len(labels)
        if rows <= 0:
            break
    return inputs


def logits(model: nn.Module, inputs: Sequence[dict[str, Any]]) -> torch.Tensor:
    """`[rows, C]`, on the CPU."""
    return torch.cat([model(**batch).logits.float().cpu() for batch in inputs])
