"""How a model calls its encoder layers, kept batch by batch, so that one layer can be run again on its own."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, NamedTuple

import torch
from torch import nn


class Call(NamedTuple):
    """
    Args:
        layer (`str`): Name of the layer.
        args (`tuple`): What it is given after the hidden states.
        kwargs (`dict`): What it is given by name, without the hidden states.
    """

    layer: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class LayerCalls:
    """
    The calls of a model's layers on some batches. A layer that is shared is called several times for each.

    Args:
        model (`nn.Module`): A model whose layers run one after the other.
        layers (`Iterable[str]`): Names of the layers.
    """

    def __init__(self, model: nn.Module, layers: Iterable[str]):
        self.model = model
        self.layers = list(dict.fromkeys(layers))
        self.inputs: list[torch.Tensor] = []
        self._calls: list[list[Call]] = []

    @property
    def order(self) -> list[str]:
        """The layer of each call."""
        return [call.layer for call in self._calls[0]]

    def record(self, inputs: dict[str, Any]):
        """
        Runs the model on a batch and keeps how it called its layers.

        Returns:
            What the model gives.

        Raises:
            `ValueError`: if anything stands between two layers: then they cannot be run on their own.
        """
        calls: list[Call] = []
        first: list[torch.Tensor] = []
        last: list[torch.Tensor] = []

        def before(name: str):
            def hook(module, args, kwargs):
                hidden_states = args[0] if args else kwargs["hidden_states"]
                if not calls:
                    first.append(hidden_states.detach())
                elif hidden_states is not last[0]:
                    raise ValueError(
                        f"{type(self.model).__name__} changes the hidden states between {calls[-1].layer} and {name}: "
                        "its layers cannot be reconstructed one after the other."
                    )
                rest = {key: value for key, value in kwargs.items() if key != "hidden_states"}
                calls.append(Call(name, tuple(args[1:]), rest))

            return hook

        def after(module, args, output):
            last[:] = [output[0] if isinstance(output, tuple) else output]

        with ExitStack() as handles:
            for name in self.layers:
                layer = self.model.get_submodule(name)
                handles.callback(layer.register_forward_pre_hook(before(name), with_kwargs=True).remove)
                handles.callback(layer.register_forward_hook(after).remove)
            output = self.model(**inputs)
        self.inputs += first
        self._calls.append(calls)
        return output

    def run(
        self, network: nn.Module, batch: int, call: int, hidden_states: torch.Tensor, layer: str | None = None
    ) -> torch.Tensor:
        """
        The hidden states that the layer of `call` in `network`, a model or a narrower copy of it, makes; or another
        `layer`, called as that one.
        """
        name, args, kwargs = self._calls[batch][call]
        output = network.get_submodule(layer or name)(hidden_states, *args, **kwargs)
        return output[0] if isinstance(output, tuple) else output
