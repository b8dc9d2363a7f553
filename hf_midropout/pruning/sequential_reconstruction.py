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

from ..groups import Groups, PrunableGroup, linear_of
from .layer_calls import LayerCalls


RIDGE = 1e-3
"""Of the mean variance of the kept units."""
FEW_ROWS = 4
"""Rows for each weight of a neuron, below which more ridge is taken, in inverse proportion."""
SHARED_ROUNDS = 3
"""Rounds for a layer that is applied several times: its inputs change when it changes."""


class NormalEquations:
    """
    Sums for a regression of `[rows, outputs]` targets on `[rows, K]` units with a bias.

    Args:
        units, outputs (`int`): Their numbers.
        device (`torch.device`): Where the sums live.
    """

    def __init__(self, units: int, outputs: int, device: torch.device):
        self.rows = 0
        self.total = torch.zeros((), dtype=torch.float64, device=device)
        self.units = torch.zeros(units, dtype=torch.float64, device=device)
        self.targets = torch.zeros(outputs, dtype=torch.float64, device=device)
        self.gram = torch.zeros(units, units, dtype=torch.float64, device=device)
        self.cross = torch.zeros(units, outputs, dtype=torch.float64, device=device)
        self.squares = torch.zeros((), dtype=torch.float64, device=device)

    def update(self, units: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None = None) -> None:
        """Adds rows; `weights` `[rows]` say how much each counts."""
        weighted = units if weights is None else units * weights[:, None]
        self.rows += len(units)
        self.total += len(units) if weights is None else weights.sum().double()
        self.units += weighted.sum(0).double()
        scaled = targets if weights is None else targets * weights[:, None]
        self.targets += scaled.sum(0).double()
        self.gram += (weighted.t() @ units).double()
        self.cross += (weighted.t() @ targets).double()
        self.squares += (scaled * targets).sum().double()

    @property
    def mean_square(self) -> float:
        """Of the targets."""
        return float((self.squares / self.total).clamp(min=1e-30))

    def solve(self, bias: bool = True, ridge: float = RIDGE) -> tuple[torch.Tensor, torch.Tensor, float]:
        """
        Ridge regression with an unpenalised bias, or with none.

        Returns:
            `tuple[torch.Tensor, torch.Tensor, float]`: coefficients `[K, outputs]`, biases `[outputs]`, and the share
            of the targets' mean square that is left.
        """
        mean, target_mean = self.units / self.total, self.targets / self.total
        if not bias:
            mean, target_mean = torch.zeros_like(mean), torch.zeros_like(target_mean)
        gram = self.gram / self.total - torch.outer(mean, mean)
        cross = self.cross / self.total - torch.outer(mean, target_mean)
        ridge *= max(1.0, FEW_ROWS * len(gram) / max(self.rows, 1))
        penalised = gram.clone()
        # A floor for units that never fire: their rows are 0, and then so are their coefficients.
        penalised.diagonal().add_(ridge * gram.diagonal().mean().clamp(min=1e-30))
        coefficients = torch.linalg.solve(penalised, cross)
        biases = target_mean - mean @ coefficients
        variance = self.squares / self.total - target_mean.square().sum()
        explained = 2 * (coefficients * cross).sum() - (coefficients * (gram @ coefficients)).sum()
        left = variance - explained
        return coefficients, biases, float(left) / self.mean_square


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


def refit(consumer: nn.Linear, equations: NormalEquations) -> float:
    """Adds to the weights of `consumer` what `equations` say, and gives the share that is left."""
    coefficients, biases, left = equations.solve(bias=consumer.bias is not None)
    consumer.weight.copy_(consumer.weight.double() + coefficients.t())
    if consumer.bias is not None:
        consumer.bias.copy_(consumer.bias.double() + biases)
    return left


class ConsumerTaps:
    """
    Context manager: what a group's consumer reads and gives, and the input that its output is added to.

    Args:
        model (`nn.Module`): The network.
        group ([`PrunableGroup`]): With a `residual`.
    """

    def __init__(self, model: nn.Module, group: PrunableGroup):
        self.consumer = model.get_submodule(group.consumer)
        self.around = model.get_submodule(str(group.residual))

    def __enter__(self) -> ConsumerTaps:
        def consumed(module, args, output):
            self.units, self.output = args[0], output

        def added_to(module, args):
            self.residual = args[0]

        self._handles = [
            self.consumer.register_forward_hook(consumed),
            self.around.register_forward_pre_hook(added_to),
        ]
        return self

    def __exit__(self, *exception) -> None:
        for handle in self._handles:
            handle.remove()


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
