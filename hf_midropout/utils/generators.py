"""Finds the generators of random numbers that a dataset or a collator may draw from."""

from __future__ import annotations

import functools
import random
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch


GENERATORS = (np.random.Generator, np.random.RandomState, random.Random, torch.Generator)
LIBRARIES = frozenset(
    "accelerate builtins collections datasets fsspec functools hf_midropout numpy pandas pyarrow random tokenizers "
    "torch transformers".split()
)
"""Packages whose code draws from what it is given, or from the global generators."""

MAX_OBJECTS = 5000
MAX_ITEMS = 64
"""Longer containers hold data."""


def generators_of(*holders: Any) -> list[Any]:
    """
    Generators of NumPy, Python and torch that `holders` reach: in attributes and containers, in what their functions
    enclose or have for defaults, and in the globals that those functions name. The nearest objects are looked at
    first, and no more than `MAX_OBJECTS`.

    Args:
        holders (`Any`): A dataset, a collator, a dataloader.
    """
    found: list[Any] = []
    seen: set[int] = set()
    waiting: deque[Any] = deque(holders)
    while waiting and len(seen) < MAX_OBJECTS:
        value = waiting.popleft()
        if id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, GENERATORS) and not isinstance(value, random.SystemRandom):  # which has no state
            found.append(value)
        else:
            waiting.extend(_parts(value))
    return found


def _parts(value: Any) -> Iterator[Any]:
    if value is None or isinstance(
        value, (str, bytes, int, float, np.ndarray, torch.Tensor, torch.nn.Module, types.ModuleType)
    ):
        return
    if isinstance(value, dict):
        yield from value.values() if len(value) <= MAX_ITEMS else ()
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from value if len(value) <= MAX_ITEMS else ()
    elif isinstance(value, types.FunctionType):
        yield from _parts_of_function(value)
    elif isinstance(value, types.MethodType):
        yield value.__self__
        yield value.__func__
    elif isinstance(value, functools.partial):
        yield from (value.func, *value.args, *value.keywords.values())
    elif isinstance(value, type):
        if not _of_a_library(value):
            yield from (part for base in value.__mro__ if not _of_a_library(base) for part in vars(base).values())
    else:
        yield from list(getattr(value, "__dict__", {}).values())
        yield type(value)


def _parts_of_function(function: types.FunctionType) -> Iterator[Any]:
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not yet filled
            continue
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from function.__dict__.values()
    if not _of_a_library(function):
        for name in _names(function.__code__):
            if name in function.__globals__:
                yield function.__globals__[name]


def _names(code: types.CodeType) -> Iterator[str]:
    """Globals that `code` names, and the functions in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _of_a_library(value: Any) -> bool:
    return str(getattr(value, "__module__", "")).partition(".")[0] in LIBRARIES
