"""Time of forward passes, measured: of a dense network beside a pruned one."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

from ...scoring.inference import frozen_inference
from ..record.latency_schema import BatchTiming, Latency, SpeedupSearch


if TYPE_CHECKING:
    from transformers import PreTrainedModel


WARM_UP, FEWEST_ROUNDS, MOST_ROUNDS, SECONDS = 3, 9, 60, 2.0
"""Passes of each network: before any counts; that count, at least and at most; seconds after which they are enough."""

Measure = Callable[[Mapping[str, "PreTrainedModel"], int, int], dict[str, float]]
"""Networks by name, rows and tokens -> milliseconds by name."""


def milliseconds(
    networks: Mapping[str, PreTrainedModel],
    batch_size: int,
    tokens: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """
    Median wall time of a forward pass of each network, on its device, with the threads that PyTorch is set to. The
    networks take turns, in alternating order, so that what else the machine does meets all alike.

    Args:
        networks (`Mapping[str, PreTrainedModel]`): All on one device.
        batch_size, tokens (`int`): Shape of the input: random tokens, none of them padding.
        clock (`Callable`, *optional*, defaults to `time.perf_counter`): Seconds.
    """
    inputs = random_inputs(list(networks.values()), batch_size, tokens)
    device = inputs["input_ids"].device
    taken: dict[str, list[float]] = {name: [] for name in networks}

    def one_pass(name: str) -> float:
        started = clock()
        networks[name](**inputs)
        if device.type != "cpu":
            torch.accelerator.synchronize(device)
        return clock() - started

    with ExitStack() as frozen:
        for network in networks.values():
            frozen.enter_context(frozen_inference(network))
        for _ in range(WARM_UP):
            for name in networks:
                one_pass(name)
        started = clock()
        for number in range(MOST_ROUNDS):
            if number >= FEWEST_ROUNDS and clock() - started >= SECONDS:
                break
            for name in list(networks)[:: -1 if number % 2 else 1]:
                taken[name].append(one_pass(name))
    return {name: 1000 * statistics.median(seconds) for name, seconds in taken.items()}


def random_inputs(networks: Sequence[PreTrainedModel], batch_size: int, tokens: int) -> dict[str, torch.Tensor]:
    """Tokens that all `networks` know, none of them padding, on their device."""
    known = min(network.config.vocab_size for network in networks)
    padding = networks[0].config.pad_token_id
    ids = torch.randint(0, known, (batch_size, tokens), generator=torch.Generator().manual_seed(0))
    if padding is not None:
        ids = torch.where(ids == padding, (padding + 1) % known, ids)
    device = next(networks[0].parameters()).device
    return {"input_ids": ids.to(device), "attention_mask": torch.ones_like(ids).to(device)}


def measure_latency(
    dense: PreTrainedModel,
    pruned: PreTrainedModel,
    batch_sizes: Sequence[int] = (1,),
    tokens: int = 128,
    search: SpeedupSearch | None = None,
    measure: Measure = milliseconds,
) -> Latency:
    """
    Time of the forward passes of two networks, for each of `batch_sizes`.

    Args:
        dense, pruned ([`~transformers.PreTrainedModel`]): On one device, in one dtype.
        batch_sizes (`Sequence[int]`, *optional*, defaults to `(1,)`): Rows of a pass.
        tokens (`int`, *optional*, defaults to 128): In each row.
        search ([`SpeedupSearch`], *optional*): To tell with it.
        measure (`Callable`, *optional*): What takes the time.
    """
    timings = []
    for batch_size in dict.fromkeys(batch_sizes):
        times = measure({"dense": dense, "pruned": pruned}, batch_size, tokens)
        timings.append(BatchTiming(dense=times["dense"], pruned=times["pruned"], batch_size=batch_size))
    return Latency(
        device=device_name(dense),
        threads=torch.get_num_threads(),
        dtype=str(dense.dtype).removeprefix("torch."),
        tokens=tokens,
        timings=timings,
        search=search,
    )


def device_name(model: PreTrainedModel) -> str:
    """`"cpu"`, or the name of the device that `model` is on."""
    device = next(model.parameters()).device
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
