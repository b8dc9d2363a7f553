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
    while hasattr(optimizer, "optimizer"):  # accelerate's wrapper
        optimizer = optimizer.optimizer
    for settings in optimizer.param_groups:
        settings["params"] = [new if parameter is old else parameter for parameter in settings["params"]]
    memory: dict[str, Any] | None = optimizer.state.pop(old, None)
    if memory is not None:
        optimizer.state[new] = {
            key: sliced(value, dimension, index) if is_like(value, old) else value for key, value in memory.items()
        }


def sliced(values: torch.Tensor, dimension: int, index: torch.Tensor) -> torch.Tensor:
    """A copy of the slices `index` of `values`."""
    return values.detach().index_select(dimension, index.to(values.device)).clone()


def is_like(value: Any, parameter: torch.Tensor) -> bool:
    """Whether `value` is one number for each of `parameter`'s, as moments are and step counts are not."""
    return isinstance(value, torch.Tensor) and value.shape == parameter.shape
