"""Removes units physically: rows of producers, columns of consumers, and the optimizer's state with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from .group import Groups, linear_of


@torch.no_grad()
def cut_groups(
    model: nn.Module,
    groups: Groups,
    kept: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    """
    Removes the units that are not kept, in place. The optimizer goes on with the narrower parameters in the place of
    the old ones, and with what it remembered of the weights that stay.

    Args:
        model (`nn.Module`): Whole on this process, neither compiled nor wrapped.
        groups (`dict[str, PrunableGroup]`): Of `model`.
        kept (`Mapping[str, torch.Tensor]`): bool mask `[K]` by group; groups without one stay as they are.
        optimizer (`torch.optim.Optimizer`, *optional*): One that holds parameters of `model`.

    Raises:
        `ValueError`: for a mask of another length than the group, or that keeps no unit.
    """
    for name, mask in kept.items():
        if mask.numel() != groups[name].num_units or not mask.any():
            raise ValueError(
                f"{name} has {groups[name].num_units} units: a mask of {mask.numel()} that keeps {int(mask.sum())} "
                "cannot be cut to."
            )
    for name, mask in kept.items():
        group, columns = groups[name], groups[name].columns(mask)
        cut_parameter(model, f"{group.consumer}.weight", 1, columns, optimizer)
        linear_of(model, group.consumer).in_features = len(columns)
        # Blocks of rows of one module are cut together.
        for module in dict.fromkeys(rows.module for rows in group.producers):
            producer = linear_of(model, module)
            stays = torch.ones(producer.out_features, dtype=torch.bool)
            for rows in group.producers:
                if rows.module == module:
                    stays[rows.start : rows.start + group.width] = mask.repeat_interleave(group.unit_size).cpu()
            index = stays.nonzero().flatten()
            for parameter in ("weight", "bias"):
                if getattr(producer, parameter, None) is not None:
                    cut_parameter(model, f"{module}.{parameter}", 0, index, optimizer)
            producer.out_features = len(index)
        if group.masked_by:
            layer = model.get_submodule(group.masked_by)
            for buffer, values in list(layer.named_buffers(recurse=False)):
                layer.register_buffer(buffer, values[mask.to(values.device)].clone())


def cut_parameter(
    model: nn.Module, name: str, dimension: int, index: torch.Tensor, optimizer: torch.optim.Optimizer | None
) -> None:
    """Keeps the slices `index` along `dimension` of a parameter, and of what `optimizer` remembers of it."""
    module_name, _, leaf = name.rpartition(".")
    module = model.get_submodule(module_name)
    old = getattr(module, leaf)
    new = nn.Parameter(sliced(old, dimension, index), requires_grad=old.requires_grad)
    if old.grad is not None:
        new.grad = sliced(old.grad, dimension, index)
    setattr(module, leaf, new)
    if optimizer is None:
        return
    optimizer = plain_optimizer(optimizer)
    for settings in optimizer.param_groups:
        settings["params"] = [new if parameter is old else parameter for parameter in settings["params"]]
    memory: dict[str, Any] | None = optimizer.state.pop(old, None)
    if memory is not None:
        optimizer.state[new] = {key: remembered(key, value, old, dimension, index) for key, value in memory.items()}


def plain_optimizer(optimizer: Any) -> torch.optim.Optimizer:
    """Without the wrapper of accelerate."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    return optimizer


def sliced(values: torch.Tensor, dimension: int, index: torch.Tensor) -> torch.Tensor:
    """A copy of the slices `index` of `values`."""
    return values.detach().index_select(dimension, index.to(values.device)).clone()


def remembered(key: str, value: Any, parameter: torch.Tensor, dimension: int, index: torch.Tensor) -> Any:
    """
    What is left of `value`, which an optimizer remembers under `key` of `parameter`: numbers such as step counts as
    they are, and slices of what has one number for each of the parameter's, or for each of its rows or columns.

    Raises:
        `ValueError`: for tensors of another shape.
    """
    if not isinstance(value, torch.Tensor) or value.numel() == 1:
        return value
    shape, size = value.shape, parameter.shape
    if key == "exp_avg_sq_row" and shape == size[:-1]:  # of transformers' Adafactor, as is the next
        return sliced(value, dimension, index) if dimension < value.ndim else value
    if key == "exp_avg_sq_col" and shape == size[:-2] + size[-1:]:
        return sliced(value, -1, index) if dimension == parameter.ndim - 1 else value
    if value.ndim == parameter.ndim and all(own in (1, whole) for own, whole in zip(shape, size, strict=True)):
        return sliced(value, dimension, index) if shape[dimension] == size[dimension] else value
    raise ValueError(
        f"The optimizer's {key!r} of shape {tuple(shape)} for a parameter of shape {tuple(size)} cannot be cut: use "
        "one that remembers a number for each of the parameter's, such as AdamW, SGD or Adafactor."
    )
