"""What the report tells of time: forward passes of the dense and of the pruned network. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ...utils.typed_json import AtMost, Between
from .schema import Count


Milliseconds = Annotated[float, Between(1e-9, 1e12)]
Positive = Annotated[int, Between(1, 2**31)]


@dataclass(kw_only=True)
class Timing:
    """
    Of forward passes of two networks that took turns.

    Args:
        dense, pruned (`float`): Median milliseconds of a pass.
    """

    dense: Milliseconds
    pruned: Milliseconds

    @property
    def speedup(self) -> float:
        """How many passes the pruned network makes in the time of one of the dense network."""
        return self.dense / self.pruned


@dataclass(kw_only=True)
class BatchTiming(Timing):
    """[`Timing`] of passes of `batch_size` (`int`) rows, by the pruned network that was saved."""

    batch_size: Positive


@dataclass(kw_only=True)
class Tried(Timing):
    """[`Timing`] of a copy cut to so many `layers` (`int`) and neurons in each (`width`, `int`), any of them."""

    layers: Count
    width: Count


@dataclass(kw_only=True)
class SpeedupSearch:
    """
    Args:
        wanted (`float`): How many times faster.
        batch_size (`int`): Rows of the passes that were timed.
        tried (`list[Tried]`): In the order of measurement; the last one was taken.
    """

    wanted: Annotated[float, Between(1, 1e6)]
    batch_size: Positive
    tried: Annotated[list[Tried], AtMost(10_000)]

    @property
    def taken(self) -> Tried:
        """What was found."""
        return self.tried[-1]

    def __str__(self) -> str:
        lines = [f"{'layers':>8}{'neurons':>9}{'dense ms':>11}{'cut ms':>11}{'times faster':>14}"]
        lines += [
            f"{each.layers:>8,}{each.width:>9,}{each.dense:>11.2f}{each.pruned:>11.2f}{each.speedup:>14.2f}"
            for each in self.tried
        ]
        return "\n".join(lines)


@dataclass(kw_only=True)
class Latency:
    """
    Args:
        device (`str`): `"cpu"`, or the name of another.
        threads (`int`): Of PyTorch on the CPU.
        dtype (`str`): That both networks computed in.
        tokens (`int`): In each row, all shown.
        timings (`list[BatchTiming]`): Of the dense and the saved network.
        search ([`SpeedupSearch`], *optional*): How the width was found, if it was for a speed-up.
    """

    device: str
    threads: Positive
    dtype: str
    tokens: Positive
    timings: Annotated[list[BatchTiming], AtMost(100)] = field(default_factory=list)
    search: SpeedupSearch | None = None
