"""The largest encoder that is so many times as fast as the dense one, by measured time."""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from typing import TYPE_CHECKING

import torch

from ...groups import cut_groups, drop_layers, find_groups
from ...groups.layers import encoder_layers
from ..encoder.width_allocation import width_multiple
from ..record.latency_schema import SpeedupSearch, Tried
from .latency import Measure, milliseconds


if TYPE_CHECKING:
    from transformers import PreTrainedModel


LEAST_KEPT = 1 / 16
"""Of a layer's neurons, where whole layers may go instead."""


def search_speedup(
    model: PreTrainedModel,
    wanted: float,
    *,
    layers: int | None = None,
    batch_size: int = 1,
    tokens: int = 128,
    measure: Measure = milliseconds,
) -> SpeedupSearch:
    """
    The most neurons in each layer with which a copy of `model` is `wanted` times as fast, by bisection, and measured
    once more before it is believed. Where a sixteenth of the neurons would be too many, layers go too, as few as
    possible. It needs no data: which neurons a copy keeps makes no difference to its time.

    Args:
        model ([`~transformers.PreTrainedModel`]): The dense network, which stays as it is.
        wanted (`float`): More than 1.
        layers (`int`, *optional*): The number of layers to keep, if that is settled; then any width will do.
        batch_size, tokens (`int`, *optional*, default to 1 and 128): Shape of the input.
        measure (`Callable`, *optional*): What takes the time.

    Raises:
        `ValueError`: if no width, or number of layers, is so fast.
    """
    if not 1 < wanted < math.inf:
        raise ValueError(f"speedup={wanted:g}: must be more than 1.")
    units = min(group.num_units for group in find_groups(model, "encoder").values())
    widths = list(range(width_multiple(units), units, width_multiple(units)))[::-1]
    if not widths:
        raise ValueError(f"speedup={wanted:g}: a layer has {units:,} neurons, too few to drop any.")
    trial = _Trial(model, wanted, batch_size, tokens, measure)
    number, fewer = layers or model.config.num_hidden_layers, [] if layers else fewer_layers(model)
    narrow = max((width for width in widths if width <= LEAST_KEPT * units and fewer), default=widths[-1])
    if fewer and not trial.reaches(number, narrow):
        if not trial.reaches(fewer[-1], narrow):
            narrow = widths[-1]
        # That the last one reaches it is known, or else nothing does.
        number = fewer[bisect_left(fewer[:-1], True, key=lambda count: trial.reaches(count, narrow))]
    if trial.reaches(number, narrow):
        wider = [width for width in widths if width > narrow]
        first = bisect_left(wider, True, key=lambda width: trial.reaches(number, width))
        for width in widths[first:]:
            trial.forget(number, width)  # one of many may be fast by chance
            if trial.reaches(number, width):
                return SpeedupSearch(wanted=wanted, batch_size=batch_size, tried=trial.tried)
    raise ValueError(unreachable(trial, units, widths[-1], layers, fewer))


class _Trial:
    """Cut copies of a network against the whole one, each measured once unless it is forgotten."""

    def __init__(self, model: PreTrainedModel, wanted: float, batch_size: int, tokens: int, measure: Measure):
        self.model, self.wanted, self.measure = model, wanted, measure
        self.batch_size, self.tokens = batch_size, tokens
        self.tried: list[Tried] = []
        self.known: dict[tuple[int, int], Tried] = {}

    def timing(self, layers: int, width: int) -> Tried:
        """Of a copy with so many layers and neurons in each."""
        if (layers, width) not in self.known:
            networks = {"dense": self.model, "pruned": cut_copy(self.model, layers, width)}
            times = self.measure(networks, self.batch_size, self.tokens)
            self.tried.append(Tried(dense=times["dense"], pruned=times["pruned"], layers=layers, width=width))
            self.known[layers, width] = self.tried[-1]
        return self.known[layers, width]

    def reaches(self, layers: int, width: int) -> bool:
        """Whether that is as fast as wanted."""
        return self.timing(layers, width).speedup >= self.wanted

    def forget(self, layers: int, width: int) -> None:
        """What is known of a copy, so that it is measured again."""
        self.known.pop((layers, width), None)


def unreachable(trial: _Trial, units: int, width: int, layers: int | None, fewer: list[int]) -> str:
    """What is said where nothing is fast enough, with the most that can be had."""
    number = trial.model.config.num_hidden_layers
    most = f"{trial.timing(layers or number, width).speedup:.2f} times with {width:,} of {units:,} neurons in a layer"
    if layers:
        most += f" and keep_layers={layers}"
    elif fewer:
        most += f" alone, {trial.timing(fewer[-1], width).speedup:.2f} times with {fewer[-1]} of {number} layers too"
    return (
        f"speedup={trial.wanted:g}: not reached on this machine (batch {trial.batch_size:,}, {trial.tokens:,} "
        f"tokens); the most that was measured is {most}."
    )


def fewer_layers(model: PreTrainedModel) -> list[int]:
    """Numbers of layers less than all that `model` can be cut to, the largest first; none where layers cannot go."""
    try:
        layers = encoder_layers(model)
    except ValueError:
        return []
    size = len(layers.units[0]) if layers.units else layers.number
    return list(range(layers.number - size, 0, -size))


def cut_copy(model: PreTrainedModel, layers: int, width: int) -> PreTrainedModel:
    """`model` with so many layers, and neurons in each: the first ones, whatever they are worth."""
    network = copy.deepcopy(model)
    if layers < network.config.num_hidden_layers:
        found = encoder_layers(network)
        left = list(range(found.number))
        for unit in found.units[::-1]:
            if len(left) > layers:
                left = [layer for layer in left if layer not in unit]
        drop_layers(network, left)
    groups = find_groups(network, "encoder")
    cut_groups(network, groups, {name: torch.arange(group.num_units) < width for name, group in groups.items()})
    return network
