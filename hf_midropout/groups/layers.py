"""Whole layers of an encoder: which can go, and dropping them so that stock classes load what is left."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import nn

from .architectures import architecture_of


INDICES = ("layer_idx", "layer_id")
"""Attributes of modules with the number of their layer."""


@dataclass(frozen=True)
class EncoderLayers:
    """
    The layers of a model. One that is shared counts as often as it is applied.

    Args:
        model (`PreTrainedModel`): The model.
        parent (`nn.Module`): The module that holds the list of layers (or of groups of them).
        name (`str`): Name of the list in it.
    """

    model: Any
    parent: nn.Module
    name: str

    @property
    def modules(self) -> nn.ModuleList:
        """The list."""
        return getattr(self.parent, self.name)

    @property
    def number(self) -> int:
        """Layers that hidden states pass."""
        return self.model.config.num_hidden_layers

    @property
    def module_of(self) -> list[int]:
        """For each layer the index in the list of the module that computes it."""
        groups = getattr(self.model.config, "num_hidden_groups", self.number)
        return [int(layer / (self.number / groups)) for layer in range(self.number)]

    @property
    def is_shared(self) -> bool:
        """Whether all layers are one and the same."""
        return self.number > 1 and len(self.modules) == 1

    @property
    def units(self) -> list[tuple[int, ...]]:
        """Layers that can only go together, and may: one by one, by group where several layers share weights."""
        if self.is_shared:
            return [(layer,) for layer in range(self.number)]
        together: dict[int, list[int]] = {}
        for layer, module in enumerate(self.module_of):
            together.setdefault(module, []).append(layer)
        units = [tuple(layers) for layers in together.values()]
        return units[1:] if self.first_stays else units

    @property
    def first_stays(self) -> bool:
        """Whether the first layer differs from the others: a layer norm less (ModernBERT), a convolution more."""
        norm = getattr(self.modules[0], "attn_norm", None)
        return isinstance(norm, nn.Identity) or getattr(self.parent, "conv", None) is not None


def encoder_layers(model: nn.Module) -> EncoderLayers:
    """
    The layers of `model`.

    Raises:
        `ValueError`: for an architecture that is not in the table, or whose layers cannot be dropped.
    """
    config, row = getattr(model, "config", None), architecture_of(model)
    if getattr(config, "inner_group_num", 1) > 1:
        raise ValueError(
            f"inner_group_num={config.inner_group_num}: layers of an ALBERT with several inner layers in a group "
            "cannot be dropped; must be 1."
        )
    base = getattr(model, "base_model", model)
    path, _, name = row.layers.partition(".*")[0].rpartition(".")
    found = EncoderLayers(model, base.get_submodule(path), name)
    if found.number % len(found.modules):
        raise ValueError(
            f"num_hidden_layers={found.number} is not a multiple of num_hidden_groups={len(found.modules)}: its "
            "layers cannot be dropped."
        )
    return found


def check_number(model: nn.Module, number: int) -> None:
    """
    Raises:
        `ValueError`: for a `number` of layers to keep that `model` cannot be cut to.
    """
    layers = encoder_layers(model)
    if not 0 < number <= layers.number:
        raise ValueError(
            f"keep_layers={number}: the encoder has {layers.number} layers; must be 1 to {layers.number}."
        )
    size = len(layers.units[0]) if layers.units else 1
    if number % size:
        raise ValueError(
            f"keep_layers={number}: the encoder has {len(layers.modules)} groups of {size} layers that share weights; "
            f"must be a multiple of {size}."
        )


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
    if hasattr(layers.parent, "n_layers"):
        layers.parent.n_layers = layers.number


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
