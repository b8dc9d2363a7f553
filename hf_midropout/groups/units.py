"""The activations of a group's units: what its consumer reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn

from .group import Groups, PrunableGroup


@contextmanager
def capture_units(
    model: nn.Module, groups: Groups, reduce: Callable[[torch.Tensor], torch.Tensor] = lambda units: units
) -> Iterator[dict[str, list[torch.Tensor]]]:
    """
    Context manager: forward pre-hooks that append the input of each group's consumer, `[..., K * unit_size]`, or what
    `reduce` makes of it, to a list by group, one for each application; removed at the end. Empty the lists between
    passes.
    """
    captured: dict[str, list[torch.Tensor]] = {name: [] for name in groups}

    def keep(name: str):
        return lambda module, args: captured[name].append(reduce(args[0]))

    with ExitStack() as handles:
        for name, group in groups.items():
            handle = model.get_submodule(group.consumer).register_forward_pre_hook(keep(name))
            handles.callback(handle.remove)
        yield captured


@contextmanager
def gate_units(model: nn.Module, groups: Groups, masks: dict[str, torch.Tensor]) -> Iterator[None]:
    """Context manager in which units that a mask `[K]` (bool) of their group does not keep are 0 for the consumer."""

    def gate(group: PrunableGroup, mask: torch.Tensor):
        columns = mask.repeat_interleave(group.unit_size)
        return lambda module, args: (args[0].masked_fill(~columns.to(args[0].device), 0.0), *args[1:])

    with ExitStack() as handles:
        for name, mask in masks.items():
            handle = model.get_submodule(groups[name].consumer).register_forward_pre_hook(gate(groups[name], mask))
            handles.callback(handle.remove)
        yield
