"""Which neurons of a model are tapped, and what of their values is one activation per neuron and sample."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from fnmatch import fnmatchcase

import torch
from torch import nn

from ..groups import capture_units, find_groups
from ..utils.listing import listed
from .inference import inner_model


class Taps:
    """
    What is scored of a model, and, within the context, one activation for each of its neurons and each sample.

    The units of a group are tapped where they are read: at the input of their consumer, after the activation function
    (and its gate). Where a layer is applied several times in a pass, as ALBERT's shared ones are, it is the mean over
    the applications.

    Args:
        model (`nn.Module`): A model, possibly compiled or wrapped.
        layers (`Mapping[str, nn.Module]`, `Sequence[str]` or `str`, *optional*): Modules whose outputs to tap, as in
            [`find_layers`], instead of groups.
        targets (`str`, *optional*, defaults to `"head"`): Groups to tap, as in [`~groups.find_groups`].

    Raises:
        `ValueError`: for `layers` that match none, a model without such groups, or both `layers` and other `targets`.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Mapping[str, nn.Module] | Sequence[str] | str | None = None,
        targets: str = "head",
    ):
        self._mask: torch.Tensor | None = None
        self._hooks = ExitStack()
        if layers is None:
            self._inner = inner_model(model)
            self._groups = find_groups(self._inner, targets)
            self.names = list(self._groups)
        else:
            if targets != "head":
                raise ValueError(f"layers={layers!r} and targets={targets!r}: give one of them.")
            self._layers = find_layers(model, layers)
            self.names = list(self._layers)
        self._of_groups = layers is None

    def __enter__(self) -> Taps:
        if self._of_groups:
            self._captured = self._hooks.enter_context(capture_units(self._inner, self._groups, self._per_sample))
        else:
            self._captured = self._hooks.enter_context(capture_outputs(self._layers, self._per_sample))
        return self

    def __exit__(self, *exception) -> None:
        self._hooks.close()

    def _per_sample(self, values: torch.Tensor) -> torch.Tensor:
        return per_sample(values, self._mask)

    def begin(self, attention_mask: torch.Tensor | None) -> None:
        """To be called before each forward pass, with the mask `[batch, tokens]` of the tokens that count."""
        self._mask = attention_mask
        for values in self._captured.values():
            values.clear()

    def activations(self) -> dict[str, torch.Tensor]:
        """`[batch, K]` by name, of the last forward pass."""
        captured = {name: self._captured[name] for name in self.names}
        unused = [name for name, values in captured.items() if not values]
        if unused:
            raise ValueError(f"The model did not run {listed(unused)}: these cannot be scored.")
        return {
            name: values[0] if len(values) == 1 else torch.stack(values).mean(0) for name, values in captured.items()
        }


def find_layers(model: nn.Module, layers: Mapping[str, nn.Module] | Sequence[str] | str) -> dict[str, nn.Module]:
    """
    Modules by name.

    Args:
        model (`nn.Module`): Where to look.
        layers (`Mapping[str, nn.Module]`, `Sequence[str]` or `str`): The modules themselves, or patterns of their
            names as in `model.named_modules()`, with `*` and `?`.

    Raises:
        `ValueError`: for a pattern that no module's name matches, with names that come close.
    """
    if isinstance(layers, Mapping):
        return dict(layers)
    modules = {name: module for name, module in model.named_modules() if name}
    patterns = [layers] if isinstance(layers, str) else list(layers)
    if not patterns:
        raise ValueError(f"layers={layers!r} names no layer; leave it out to score the head.")
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
def capture_outputs(
    layers: Mapping[str, nn.Module], reduce: Callable[[torch.Tensor], torch.Tensor] = lambda output: output
) -> Iterator[dict[str, list[torch.Tensor]]]:
    """
    Context manager: forward hooks that leave the output of each layer, or what `reduce` makes of it, in a list by
    name; removed at the end. Of a module that runs several times in a pass the last output counts.
    """
    captured: dict[str, list[torch.Tensor]] = {name: [] for name in layers}

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
            captured[name][:] = [reduce(output)]

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
