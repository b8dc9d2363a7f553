"""Random number generators put back as they were, so that reading rows for scores leaves a training as it is."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


@contextmanager
def preserved_random_state(*holders: Any, seed: int | None = None) -> Iterator[None]:
    """
    Context manager: afterwards the global generators of Python, NumPy and torch (CPU) are as before, and those that
    `holders`, a dataset or a collator, keep as attributes.

    Args:
        holders (`Any`): Objects that may draw from generators of their own.
        seed (`int`, *optional*): Seeds the global ones meanwhile, so that what is drawn depends on `seed` alone.
    """
    python, legacy = random.getstate(), np.random.get_state()
    restore = [restorer for holder in holders for value in attributes(holder) if (restorer := restorer_of(value))]
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.default_generator.manual_seed(
                seed
            )  # torch.manual_seed would seed the GPUs too, which are not restored
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)
            for each in restore:
                each()


def attributes(holder: Any) -> list[Any]:
    """What `holder` keeps by name."""
    return list(getattr(holder, "__dict__", {}).values())


def restorer_of(generator: Any) -> Callable[[], Any] | None:
    """A function that brings `generator` back to its present state; `None` if it is no generator of random numbers."""
    if isinstance(generator, np.random.Generator):
        bits, state = generator.bit_generator, generator.bit_generator.state
        return lambda: setattr(bits, "state", state)
    if isinstance(generator, np.random.RandomState):
        state = generator.get_state()
        return lambda: generator.set_state(state)
    if isinstance(generator, random.Random):
        python = generator.getstate()
        return lambda: generator.setstate(python)
    if isinstance(generator, torch.Generator):
        tensor = generator.get_state()
        return lambda: generator.set_state(tensor)
    return None
