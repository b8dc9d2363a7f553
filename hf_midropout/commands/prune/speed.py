"""The part of `hf-midropout prune` that is about time: how narrow the network has to be, and how fast it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ...utils.narration import tell
from ..checkpoint.checks import position_limit
from ..options.names import options_named
from .arguments import PruneArguments


if TYPE_CHECKING:
    from ...pruning.record.latency_schema import Latency, SpeedupSearch


def check_speed(args: PruneArguments) -> None:
    """`ValueError` for an option about time whose value makes no sense by itself."""
    if args.speedup is not None:
        if args.keep is not None:
            raise ValueError(
                f"--speedup {args.speedup:g} and --keep {args.keep} exclude each other: the width is found by the "
                "one, or given by the other."
            )
        if not 1 < args.speedup < math.inf:
            raise ValueError(f"--speedup {args.speedup:g}: must be more than 1, such as 2 for twice as fast.")
        if not args.latency:
            raise ValueError(f"--no_latency has no effect with --speedup {args.speedup:g}, which is found by timing.")
    for rows in args.latency_batch_size:
        if rows < 1:
            raise ValueError(f"--latency_batch_size {rows}: must be 1 or more.")
    if args.latency_tokens is not None and args.latency_tokens < 1:
        raise ValueError(f"--latency_tokens {args.latency_tokens}: must be 1 or more.")


def check_latency_tokens(args: PruneArguments, model) -> None:
    """`ValueError` for rows of more tokens to time than the model has positions for."""
    limit = position_limit(model)
    if args.latency_tokens is not None and limit is not None and args.latency_tokens > limit:
        raise ValueError(f"--latency_tokens {args.latency_tokens}: the model has positions for {limit:,} tokens.")


def search_as_asked(args: PruneArguments, model, max_length: int) -> SpeedupSearch | None:
    """Finds the width that is as fast as was asked for, if that was, and prints what was measured."""
    from ...pruning.speed.search import search_speedup

    if args.speedup is None:
        return None
    rows, tokens = args.latency_batch_size[0], args.latency_tokens or max_length
    tell(f"Timing passes of {rows:,} x {tokens:,} tokens for a network {args.speedup:g} times faster:")
    with options_named(type(args)):
        found = search_speedup(model, args.speedup, layers=args.keep_layers, batch_size=rows, tokens=tokens)
    tell(str(found))
    tell(f"Took the last: {found.taken.width:,} neurons in each of {found.taken.layers:,} layers.")
    return found


def time_as_asked(
    args: PruneArguments, dense, pruned, max_length: int, search: SpeedupSearch | None
) -> Latency | None:
    """Time of the two networks, if that was asked for."""
    from ...pruning.speed.latency import measure_latency

    if not args.latency:
        return None
    return measure_latency(dense, pruned, args.latency_batch_size, args.latency_tokens or max_length, search)
