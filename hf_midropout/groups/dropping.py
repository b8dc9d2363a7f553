"""Drops whole layers of an encoder so that stock classes load what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from .layers import EncoderLayers, encoder_layers


INDICES = ("layer_idx", "layer_id")
"""Attributes of modules with the number of their layer."""


def drop_layers(model: nn.Module, kept: Sequence[int]) -> None:
    """
    Drops all other layers, in place. What is left computes as in the larger model, without correction for what is
    gone, and is written by `save_pretrained` as a stock model.

    Args:
        model ([`~transformers.PreTrainedModel`]): A model whose architecture is in the table.
        kept (`Sequence[int]`): Indices of layers. Where they share weights (ALBERT), of applications: all those of a
            group, or any number of them where there is only one.

    Raises:
        `ValueError`: for layers that there are not, none, or not those that must stay together or first.
    """
    layers = encoder_layers(model)
    _select(layers, checked(layers, kept))
    for index, layer in enumerate(layers.modules):
        for module in layer.modules():
            for name in INDICES:
                if isinstance(getattr(module, name, None), int):
                    setattr(module, name, index)
    if hasattr(layers.parent, "n_layers"):  # DistilBERT
        setattr(layers.parent, "n_layers", layers.number)  # noqa: B010


@contextmanager
def only_layers(model: nn.Module, kept: Sequence[int]) -> Iterator[None]:
    """Context manager in which `model` computes as after [`drop_layers`]; afterwards it is as it was."""
    layers = encoder_layers(model)
    modules, before = layers.modules, {name: getattr(model.config, name) for name in _fields(model.config)}
    try:
        _select(layers, checked(layers, kept))
        yield
    finally:
        setattr(layers.parent, layers.name, modules)
        for name, value in before.items():
            setattr(model.config, name, value)


def checked(layers: EncoderLayers, kept: Sequence[int]) -> list[int]:
    """`kept`, in ascending order; `ValueError` if `layers` cannot be cut to them."""
    chosen = set(kept)
    if not chosen or len(chosen) != len(kept) or not chosen <= set(range(layers.number)):
        raise ValueError(
            f"kept={list(kept)}: must be one or more different layers of 0 to {layers.number - 1}, the encoder's."
        )
    if layers.first_stays and 0 not in chosen:
        raise ValueError(f"kept={list(kept)}: layer 0 of {type(layers.model).__name__} differs from others: keep it.")
    for unit in () if layers.is_shared else layers.units:
        if 0 < len(chosen & set(unit)) < len(unit):
            raise ValueError(f"kept={list(kept)}: layers {list(unit)} share weights: keep all of them or none.")
    return sorted(chosen)


def _fields(config) -> list[str]:
    return [name for name in ("num_hidden_layers", "num_hidden_groups", "layer_types") if getattr(config, name, None)]


def _select(layers: EncoderLayers, kept: list[int]) -> None:
    """Leaves the layers `kept` in the list, and the config saying so."""
    config, module_of = layers.model.config, layers.module_of
    modules = list(dict.fromkeys(module_of[layer] for layer in kept))
    setattr(layers.parent, layers.name, nn.ModuleList([layers.modules[module] for module in modules]))
    fields = _fields(config)
    if "layer_types" in fields:
        config.layer_types = [config.layer_types[layer] for layer in kept]
    if "num_hidden_groups" in fields:
        config.num_hidden_groups = len(modules)
    config.num_hidden_layers = len(kept)
