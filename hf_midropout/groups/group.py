"""A prunable group: units of a network that are removed together, and where its weights are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn


def linear_of(model: nn.Module, name: str) -> nn.Linear:
    """The linear map of that name: producers and consumers are nothing else."""
    return cast(nn.Linear, model.get_submodule(name))


@dataclass(frozen=True)
class Rows:
    """
    Rows of a module's `weight` and `bias` that make the units of a group, in their order.

    Args:
        module (`str`): Name of an `nn.Linear` of the model.
        start (`int`, *optional*, defaults to 0): First row of the first unit.
    """

    module: str
    start: int = 0


@dataclass(frozen=True)
class PrunableGroup:
    """
    Units that are removed together. `name` is the one key of scores, importance, masks, record and report.

    Args:
        name (`str`): Such as `"classifier.layers.0"` or `"encoder.layer.3.ffn"`.
        producers (`tuple[Rows]`): What makes unit k; two blocks of rows where an activation is gated.
        consumer (`str`): Name of the `nn.Linear` whose input the units are: its input is tapped and gated.
        num_units (`int`): K.
        unit_size (`int`, *optional*, defaults to 1): Columns of the consumer that a unit takes.
        num_calls (`int`, *optional*, defaults to 1): Applications of the consumer in one forward pass; more than 1
            where layers are shared.
        config_width (`str`, *optional*): Field of a stock config that holds the width.
        layer (`str`, *optional*): Name of the encoder layer around it: a module from hidden states to hidden states.
        residual (`str`, *optional*): Name of the module in that layer whose input the consumer's output is added to.
        masked_by (`str`, *optional*): Name of the module whose buffer `mask` holds the units at 0, if there is one.
    """

    name: str
    producers: tuple[Rows, ...]
    consumer: str
    num_units: int
    unit_size: int = 1
    num_calls: int = 1
    config_width: str | None = None
    layer: str | None = None
    residual: str | None = None
    masked_by: str | None = None

    def incoming_weight(self, model: nn.Module) -> torch.Tensor:
        """`[K, incoming weights of a unit]`: the rows of all producers, side by side."""
        blocks = []
        for rows in self.producers:
            weight = linear_of(model, rows.module).weight
            blocks.append(weight[rows.start : rows.start + self.width].reshape(self.num_units, -1))
        return blocks[0] if len(blocks) == 1 else torch.cat(blocks, 1)

    def outgoing_weight(self, model: nn.Module) -> torch.Tensor:
        """`[consumer's outputs, K * unit_size]`: the consumer's weight."""
        return linear_of(model, self.consumer).weight

    def parameters_per_unit(self, model: nn.Module) -> int:
        """Weights and biases that make a unit, and those that read it."""
        incoming = sum(
            linear_of(model, rows.module).in_features + (linear_of(model, rows.module).bias is not None)
            for rows in self.producers
        )
        return self.unit_size * (incoming + linear_of(model, self.consumer).out_features)

    @property
    def width(self) -> int:
        """Columns of the consumer, K * unit_size."""
        return self.num_units * self.unit_size

    def columns(self, kept: torch.Tensor) -> torch.Tensor:
        """Columns of the consumer that the units of a bool mask `[K]` take, in ascending order."""
        return kept.repeat_interleave(self.unit_size).nonzero().flatten()


Groups = dict[str, PrunableGroup]
"""Groups by name, from the input to the output of the network."""
