"""Random numbers of many networks at once, each with its own seed: a network draws what it would draw alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class SeededNoise(TorchDispatchMode):
    """
    Context manager under which operators that draw random numbers, called by `torch.func.vmap` for all networks at
    once, draw each network's share from a generator of its own. Networks are the first dimension.

    Args:
        seeds (`Sequence[int]`): Of each network.

    Raises:
        `RuntimeError`: where an operator draws without a dimension of networks: outside
            `vmap(randomness="different")`.
    """

    def __init__(self, seeds: Sequence[int]):
        super().__init__()
        self._states = [torch.Generator().manual_seed(seed).get_state() for seed in seeds]

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags or _is_seeded(args, kwargs):
            return func(*args, **kwargs)
        shape = next((each for each in map(_shape, args) if each), None)
        if shape is None or shape[0] % len(self._states):
            raise RuntimeError(
                f"{func} draws {shape and list(shape)}: needs as many rows for each of {len(self._states)}."
            )
        rows = shape[0] // len(self._states)  # some operators take networks and rows as one dimension
        before, drawn = torch.get_rng_state(), []
        try:
            for number, state in enumerate(self._states):
                torch.set_rng_state(state)
                drawn.append(func(*(_share(each, number, rows) for each in args), **kwargs))
                self._states[number] = torch.get_rng_state()
        finally:
            torch.set_rng_state(before)
        # An operator in place has filled the rows of its own argument.
        return args[0] if func._schema.is_mutable else torch.cat(drawn)


def _is_seeded(args: Sequence[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the call brings a generator of its own."""
    return any(isinstance(each, torch.Generator) for each in (*args, *kwargs.values()))


def _shape(argument: Any) -> Sequence[int] | None:
    """Of a tensor, or what is the size of one."""
    if isinstance(argument, torch.Tensor):
        return argument.shape
    return argument if isinstance(argument, (list, tuple)) else None


def _share(argument: Any, number: int, rows: int) -> Any:
    """What one network's call gets in place of the argument of all."""
    if isinstance(argument, torch.Tensor):
        return argument[number * rows : (number + 1) * rows]
    return [rows, *argument[1:]] if isinstance(argument, (list, tuple)) else argument
