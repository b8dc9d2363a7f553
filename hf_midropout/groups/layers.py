"""The layers of an encoder: where they are, which of them share weights, which have to stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import nn

from .architectures import architecture_of


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
    row = architecture_of(model)
    inner = getattr(model.config, "inner_group_num", 1)
    if inner > 1:
        raise ValueError(
            f"inner_group_num={inner}: layers of an ALBERT with several inner layers in a group "
            "cannot be dropped; must be 1."
        )
    if getattr(model.config, "is_heterogeneous", False):
        raise ValueError(f"The layers of {type(model).__name__} have different widths: none of them can be dropped.")
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
