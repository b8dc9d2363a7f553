"""Forward passes that leave no trace: in eval mode, without gradients, without random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def inner_model(model: nn.Module) -> nn.Module:
    """The model whose `forward` names its arguments, inside `torch.compile`, PEFT and data parallelism."""
    while True:
        base = getattr(model, "get_base_model", None)
        inner = base() if base is not None else getattr(model, "_orig_mod", getattr(model, "module", None))
        if not isinstance(inner, nn.Module) or inner is model:
            return model
        model = inner


@contextmanager
def frozen_inference(model: nn.Module) -> Iterator[None]:
    """Context manager: `model` in eval mode, no gradients; afterwards its mode and random numbers are as before."""
    training = {module: module.training for module in model.modules()}
    device = next(model.parameters()).device
    with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
        model.eval()
        try:
            yield
        finally:
            for module, mode in training.items():
                module.training = mode


def to_device(inputs: dict[str, Any], model: nn.Module) -> dict[str, Any]:
    """Tensors of `inputs` on the device of `model`."""
    device = next(model.parameters()).device
    return {
        key: value.to(device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for key, value in inputs.items()
    }
