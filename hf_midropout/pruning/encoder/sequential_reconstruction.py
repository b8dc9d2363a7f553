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


HELD_OUT = 8
"""One batch in so many tells what is left after a fit to the others; the weights are those of a fit to all."""
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
            good, before the first round, that is left after the last: in rows that the fit which is looked at for it
            has not seen.
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
                        before, now = refit(linear_of(network, group.consumer), *equations[key])
                        left[name][group.name] = now / to_make_good.setdefault(key, before)
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
    ) -> tuple[Stream, dict[tuple[str, str], tuple[NormalEquations, NormalEquations]]]:
        """
        The dense network's hidden states after the `calls`, and equations for the consumer of each network and group:
        of most batches, and of those that are held out.
        """
        equations = {}
        for name, network in networks.items():
            for group in groups:
                weight = linear_of(network, group.consumer).weight
                outputs, units = weight.shape
                fitted, held = (NormalEquations(units, outputs, weight.device) for _ in range(2))
                equations[name, group.name] = fitted, held
        by_layer = {group.layer: group for group in groups}
        held_out = held_out_batches(len(dense))
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
                    part = equations[name, group.name][batch in held_out]
                    part.update(narrow.units[counted], target, weights)
                hidden = after
            afterwards.append(hidden)
        return afterwards, equations

    def _advance(self, network: nn.Module, batch: int, hidden_states: torch.Tensor, calls: range) -> torch.Tensor:
        for call in calls:
            hidden_states = self.calls.run(network, batch, call, hidden_states)
        return hidden_states


def held_out_batches(count: int) -> set[int]:
    """Which of so many batches are held out: one in [`HELD_OUT`], or the last one; of a single batch none."""
    return {*range(HELD_OUT - 1, count, HELD_OUT)} or ({count - 1} if count > 1 else set())


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
