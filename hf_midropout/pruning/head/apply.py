"""Drops neurons from a model, and proves that a compact model computes the same."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import nn

from ...groups import find_groups
from ...groups.sharding import forget_rows, full_value, overwrite, parts
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference, to_device
from ...scoring.passes import forward_passes
from ..config import MIDropoutConfig
from ..criteria import Importance
from ..selection import Selection
from .decision import Decision


if TYPE_CHECKING:
    from transformers import PreTrainedModel


class CompactionError(RuntimeError):
    """A compact model does not give the logits of the masked model it was made from."""


def apply_selection(model: PreTrainedModel, selection: Selection) -> None:
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


@torch.no_grad()
def set_dropout(
    model: PreTrainedModel, selection: Selection, importance: Importance, rate: float, graded: bool
) -> None:
    """
    Algorithm 1 of the paper: neurons that `selection` does not keep are set to 0 with a probability, in training only.
    That is `rate`; or, if `graded`, `rate` for a neuron of no importance, falling linearly to 0 at the threshold.
    """
    model.config.mi_dropout = True
    for name, layer in model.masked_layers().items():
        layer.mi_dropout = True
        rates = torch.full_like(importance[name], rate)
        if graded:
            rates *= (1 - importance[name] / max(selection.threshold[name], 1e-12)).clamp(0, 1)
        layer.drop_rate.copy_(rates.masked_fill(selection.kept[name], 0.0))


@torch.no_grad()
def reinitialize(model: PreTrainedModel, selection: Selection, optimizer, seed: int, std: float = 0.01) -> None:
    """
    Draws the incoming weights of the neurons that `selection` does not keep from N(0, std^2), with biases of 0, and
    forgets what the optimizer remembers of them.
    """
    generator = torch.Generator().manual_seed(seed)
    for name, layer in model.masked_layers().items():
        drawn = torch.randn(layer.dense.weight.shape, generator=generator) * std
        again = (~selection.kept[name]).to(layer.mask.device)
        weights = {key: full_value(parameter).clone() for key, parameter in parts(layer.dense).items()}
        weights["weight"][again] = drawn.to(weights["weight"])[again]
        weights["bias"][again] = 0
        overwrite(layer.dense, weights)
        if optimizer:
            forget_rows(layer.dense, again, optimizer)


def act(model: nn.Module, decision: Decision, config: MIDropoutConfig, optimizer=None) -> None:
    """Does to the neurons that `decision` does not keep what `config.action` says."""
    selection = decision.selection
    assert selection is not None and decision.importance is not None
    if config.action == "prune":
        if decision.refit:
            decision.refit.apply(model, find_groups(model))
        apply_selection(model, selection)
    elif config.action == "dropout":
        set_dropout(model, selection, decision.importance, config.dropout_rate, config.graded)
    elif config.action == "reinitialize":
        reinitialize(model, selection, optimizer, config.seed)


def is_pruned(model: PreTrainedModel) -> bool:
    """Whether any neuron of `model` has been dropped."""
    return any(not bool(layer.mask.all()) for layer in model.masked_layers().values())


@torch.no_grad()
def verify_compaction(
    masked: nn.Module, compact: nn.Module, batches: Batches, atol: float = 1e-5, max_batches: int = 8
) -> float:
    """
    Compares the logits of the two models on real inputs, in eval mode and the dtype they are in.

    Args:
        masked ([`~transformers.PreTrainedModel`]): The model with masks.
        compact ([`~transformers.PreTrainedModel`]): What `masked.compact()` gave.
        batches (`Batches`): Inputs.
        atol (`float`, *optional*, defaults to 1e-5): Largest absolute difference allowed, in float32.
        max_batches (`int`, *optional*, defaults to 8): Batches to compare.

    Returns:
        `float`: the largest absolute difference of a logit.

    Raises:
        [`CompactionError`]: if a logit differs by more than `atol`, or is NaN.
    """
    largest = 0.0
    with frozen_inference(masked), frozen_inference(compact):
        for each in islice(forward_passes(masked, batches), max_batches):
            expected = each.outputs.logits.float()
            actual = compact(**to_device(each.inputs, compact)).logits.float().to(expected.device)
            difference = float((expected - actual).abs().max())
            if not difference <= atol:
                raise CompactionError(
                    f"Logits of the compact model differ by {difference:.2e}: {atol:.0e} is allowed."
                )
            largest = max(largest, difference)
    return largest
