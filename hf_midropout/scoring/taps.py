"""Which modules of a model are listened to, and what of their output is one activation per neuron and sample."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from fnmatch import fnmatchcase

import torch
from torch import nn

from ..utils.listing import listed


def masked_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The masked layers of `model` by name; `ValueError` if it has none."""
    layers = getattr(model, "masked_layers", None)
    if layers is None:
        raise ValueError(
            f"{type(model).__name__} has no masked layers: load it as MIDropoutAlbertForSequenceClassification, "
            "or name the layers to score."
        )
    return dict(layers())


def find_layers(
    model: nn.Module, layers: Mapping[str, nn.Module] | Sequence[str] | str | None
) -> dict[str, nn.Module]:
    """
    Modules by name.

    Args:
        model (`nn.Module`): Where to look.
        layers (`Mapping[str, nn.Module]`, `Sequence[str]` or `str`, *optional*): The modules themselves, or patterns
            of their names as in `model.named_modules()`, with `*` and `?`; the masked layers by default.

    Raises:
        `ValueError`: for a pattern that no module's name matches, with names that come close.
    """
    if layers is None:
        return masked_layers(model)
    if isinstance(layers, Mapping):
        return dict(layers)
    modules = {name: module for name, module in model.named_modules() if name}
    patterns = [layers] if isinstance(layers, str) else list(layers)
    if not patterns:
        raise ValueError(f"layers={layers!r} names no layer; for the masked layers of the model leave it out.")
    found: dict[str, nn.Module] = {}
    for pattern in patterns:
        matching = {name: module for name, module in modules.items() if fnmatchcase(name, pattern)}
        if not matching:
            raise ValueError(f"layers={pattern!r} matches none of {_modules_like(pattern, modules)}.")
        found |= matching
    return found


def _modules_like(pattern: str, modules: Mapping[str, nn.Module]) -> str:
    """The modules of a model, those whose names are closest to `pattern` first."""
    last = pattern.rpartition(".")[2].strip("*?")
    near = difflib.get_close_matches(last, {name.rpartition(".")[2] for name in modules}, n=3)
    shown = [name for name in modules if name.rpartition(".")[2] in near] or list(modules)
    such = f", such as {listed(shown)}" if shown else ""
    return f"the {len(modules)} modules{such}"


@contextmanager
def capture_outputs(layers: Mapping[str, nn.Module]) -> Iterator[dict[str, torch.Tensor]]:
    """
    Forward hooks that leave the last output of each layer in the dictionary they give; removed at the end. Of a module
    that runs several times in a pass (ALBERT shares its layers) the last output counts.
    """
    captured: dict[str, torch.Tensor] = {}

    def keep(name: str):
        def hook(module, args, output):
            if isinstance(output, (tuple, list)) and output:
                output = output[0]
            if not isinstance(output, torch.Tensor) or output.ndim < 2 or not output.is_floating_point():
                shape = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
                raise ValueError(
                    f"{name} gives {shape}: only layers whose output is [batch, neurons], [batch, tokens, neurons] or "
                    "[batch, neurons, height, width] can be scored."
                )
            captured[name] = output

        return hook

    handles = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]
    try:
        yield captured
    finally:
        for handle in handles:
            handle.remove()


def uncompiled(model: nn.Module) -> AbstractContextManager:
    """
    Context manager under which a compiled model runs as it was written. What `torch.compile` has traced before hooks
    were registered does not call them.
    """
    compiled = any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )
    return torch.compiler.set_stance("force_eager") if compiled else nullcontext()


def per_sample(output: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
    """
    `[batch, neurons]` activations: the mean over the tokens that `attention_mask` `[batch, tokens]` does not hide, or
    over height and width.
    """
    if output.ndim == 2:
        return output
    if output.ndim > 3:
        return output.flatten(2).mean(2)
    if attention_mask is None or attention_mask.shape != output.shape[:2]:
        return output.mean(1)
    weight = attention_mask.to(output.device, output.dtype)[:, None, :]
    return (weight @ output)[:, 0] / weight.sum(2).clamp(min=1)  # no copy of the output, as a product and sum would be
