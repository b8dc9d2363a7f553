"""
Makes up for dropped encoder neurons layer by layer, from the input on. The weights that read the kept ones are
refitted so that the residual stream of the pruned network comes back to that of the dense one: not only is what a
layer lost itself made good, as far as it can be, but also what the layers before it have not made good.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from ...groups import Groups, PrunableGroup, linear_of
from .consumer_taps import ConsumerTaps
from .layer_calls import LayerCalls
from .normal_equations import NormalEquations, refit


SHARED_ROUNDS = 3
"""Rounds for a layer that is applied several times: its inputs change when it changes."""


Stream = list[torch.Tensor]
"""Hidden states between two calls of layers, by batch."""


@dataclass
class SequentialReconstruction:
    """
    Args:
        dense (`nn.Module`): The network before pruning, in eval mode.
        groups (`dict[str, PrunableGroup]`): Feed-forward neurons of its encoder, in the order of its layers.
        calls ([`LayerCalls`]): How it calls its layers on the rows to reconstruct from.
        tokens (`Mapping[str, Sequence[torch.Tensor]]`): By group, for each batch (and application, one after the
            other), how much each token counts, `[rows, tokens]`; 0 for padding, and for what nothing reads.
    """

    dense: nn.Module
    groups: Groups
    calls: LayerCalls
    tokens: Mapping[str, Sequence[torch.Tensor]]

    @torch.no_grad()
    def reconstruct(self, networks: Mapping[str, nn.Module]) -> dict[str, dict[str, float]]:
        """
        Refits the consumers of copies of the dense network from which units were cut, in place. Side by side, they
        share its forward pass.

        Args:
            networks (`Mapping[str, nn.Module]`): By any name, in eval mode.

        Returns:
            `dict[str, dict[str, float]]`: by network and group, the share of the mean square of what was to be made
            good, before the first round, that is left after the last.
        """
        by_layer = {group.layer: group for group in self.groups.values()}
        order = self.calls.order
        left: dict[str, dict[str, float]] = {name: {} for name in networks}
        dense = list(self.calls.inputs)
        streams = {name: list(self.calls.inputs) for name in networks}
        for first, last in segments(order):
            groups = [by_layer[layer] for layer in dict.fromkeys(order[first:last]) if layer in by_layer]
            to_make_good: dict[tuple[str, str], float] = {}
            rounds = SHARED_ROUNDS if last - first > len(groups) else 1
            calls = range(first, last)
            for number in range(rounds):
                # Until it has been fitted, what a shared layer makes of its own output is no guide.
                on_dense = rounds > 1 and number == 0
                after, equations = self._gather(networks, groups, dense, streams, calls, on_dense)
                for name, network in networks.items():
                    for group in groups:
                        key = name, group.name
                        square = equations[key].mean_square
                        share = refit(linear_of(network, group.consumer), equations[key])
                        left[name][group.name] = share * square / to_make_good.setdefault(key, square)
            dense = after
            for name, network in networks.items():
                streams[name] = [self._advance(network, *each, calls) for each in enumerate(streams[name])]
        return left

    def _gather(
        self,
        networks: Mapping[str, nn.Module],
        groups: list[PrunableGroup],
        dense: Stream,
        streams: Mapping[str, Stream],
        calls: range,
        on_dense: bool,
    ) -> tuple[Stream, dict[tuple[str, str], NormalEquations]]:
        """
        The dense network's hidden states after the `calls`, and equations for the consumer of each network and group.
        """
        equations = {}
        for name, network in networks.items():
            for group in groups:
                weight = linear_of(network, group.consumer).weight
                equations[name, group.name] = NormalEquations(weight.shape[1], weight.shape[0], weight.device)
        by_layer = {group.layer: group for group in groups}
        afterwards = []
        for batch, hidden in enumerate(dense):
            done = dict.fromkeys((group.name for group in groups), 0)
            own = {name: stream[batch] for name, stream in streams.items()}
            for call in calls:
                group = by_layer[self.calls.order[call]]
                with ConsumerTaps(self.dense, group) as whole:
                    after = self.calls.run(self.dense, batch, call, hidden)
                count = self.tokens[group.name][batch * group.num_calls + done[group.name]]
                done[group.name] += 1
                counted = count > 0
                aim, weights = whole.output[counted] + whole.residual[counted], count[counted]
                for name, network in networks.items():
                    with ConsumerTaps(network, group) as narrow:
                        own[name] = self.calls.run(network, batch, call, hidden if on_dense else own[name])
                    # What the consumer should add to its residual input, less what it adds now.
                    target = aim - narrow.residual[counted] - narrow.output[counted]
                    equations[name, group.name].update(narrow.units[counted], target, weights)
                hidden = after
            afterwards.append(hidden)
        return afterwards, equations

    def _advance(self, network: nn.Module, batch: int, hidden_states: torch.Tensor, calls: range) -> torch.Tensor:
        for call in calls:
            hidden_states = self.calls.run(network, batch, call, hidden_states)
        return hidden_states


def segments(order: Sequence[str]) -> list[tuple[int, int]]:
    """Ranges of calls, as short as may be, so that all calls of a layer are in one."""
    found, first = [], 0
    while first < len(order):
        last = first
        call = first
        while call <= last:
            last = max(last, len(order) - 1 - list(reversed(order)).index(order[call]))
            call += 1
        found.append((first, last + 1))
        first = last + 1
    return found
