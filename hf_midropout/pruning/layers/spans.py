"""
A dense network seen through the layers of a shallower one: each layer of the latter stands for a span of the former's,
from where the layer before it left off to the next that was kept. So it can be refitted as if none had been dropped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from ...groups import Groups
from ...groups.architectures import architecture_of
from ..encoder.layer_calls import LayerCalls


class DenseSpans(nn.Module):
    """
    A dense network under the names of a shallower one's modules: a layer's are those of the last layer that it stands
    for.

    Args:
        dense (`nn.Module`): The network.
        layers (`Mapping[str, str]`): Names of layers of `dense`, by those of the shallower network.
    """

    def __init__(self, dense: nn.Module, layers: Mapping[str, str]):
        super().__init__()
        self._dense = [dense]  # not a part: modes and parameters are its own
        self._layers = dict(layers)

    @property
    def dense(self) -> nn.Module:
        """The network."""
        return self._dense[0]

    def get_submodule(self, target: str) -> nn.Module:
        """As [`nn.Module.get_submodule`]."""
        for layer, name in self._layers.items():
            if target == layer or target.startswith(f"{layer}."):
                return self.dense.get_submodule(name + target[len(layer) :])
        return self.dense.get_submodule(target)


class SpanCalls:
    """
    [`LayerCalls`] of a dense network as those of a shallower one: a call of the latter's layer runs, in the dense
    network, all the layers that it stands for.

    Args:
        calls ([`LayerCalls`]): Of the dense network.
        kept (`Sequence[int]`): The calls that were kept, ascending.
        order (`Sequence[str]`): The layer of the shallower network that makes each of these.
    """

    def __init__(self, calls: LayerCalls, kept: Sequence[int], order: Sequence[str]):
        self.calls, self.kept, self.order = calls, list(kept), list(order)
        ends = [*self.kept[1:], len(calls.order)]
        self.spans = [range(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]

    @property
    def inputs(self) -> list[torch.Tensor]:
        """The hidden states that the first layer reads, by batch."""
        return self.calls.inputs

    def run(self, network: nn.Module, batch: int, call: int, hidden_states: torch.Tensor) -> torch.Tensor:
        """As [`LayerCalls.run`]."""
        if isinstance(network, DenseSpans):
            for each in self.spans[call]:
                hidden_states = self.calls.run(network.dense, batch, each, hidden_states)
            return hidden_states
        return self.calls.run(network, batch, self.kept[call], hidden_states, self.order[call])

    def tokens(self, dense: Groups, tokens: Mapping[str, Sequence[torch.Tensor]], shallow: Groups):
        """
        How much each token counts, by group of the shallower network, for each batch and application: as much as for
        the last layer that it stands for.

        Args:
            dense (`dict[str, PrunableGroup]`): Groups of the dense network.
            tokens (`Mapping[str, Sequence[torch.Tensor]]`): As there, by these.
            shallow (`dict[str, PrunableGroup]`): Groups of the shallower network.
        """
        by_layer = {group.layer: group for group in dense.values()}
        names = {group.layer: name for name, group in shallow.items()}
        result: dict[str, list[torch.Tensor]] = {name: [] for name in shallow}
        for batch in range(len(self.inputs)):
            for span, layer in zip(self.spans, self.order, strict=True):
                last = self.calls.order[span[-1]]
                group, earlier = by_layer[last], self.calls.order[: span[-1]].count(last)
                result[names[layer]].append(tokens[group.name][batch * group.num_calls + earlier])
        return result


def span_ends(calls: SpanCalls) -> dict[str, str]:
    """By layer of the shallower network, the last of the dense one's that it stands for."""
    return {layer: calls.calls.order[span[-1]] for span, layer in zip(calls.spans, calls.order, strict=True)}


@torch.no_grad()
def take_over_norms(shallow: nn.Module, calls: SpanCalls, dense: nn.Module) -> None:
    """
    Gives each layer of `shallow` that ends with a layer norm that of the last layer that it stands for, as what the
    next reads has passed that one; but for layers that are applied several times.
    """
    norm = architecture_of(dense).norm
    if norm is None:
        return
    for layer, last in span_ends(calls).items():
        if calls.order.count(layer) == 1:
            module = dense.get_submodule(f"{last}.{norm}")
            shallow.get_submodule(f"{layer}.{norm}").load_state_dict(module.state_dict())
