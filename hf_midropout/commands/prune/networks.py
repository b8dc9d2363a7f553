"""Prunes by the criterion that was asked for and by those to compare with, and compares what comes of it."""

from __future__ import annotations

import copy
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...utils.narration import tell
from ...utils.terminal import folded
from .arguments import AUTO, PruneArguments
from .finish import Outcome
from .rows import held_out_split
from .smaller import drop_layers_as_asked, layers_to_keep, trim_as_asked
from .speed import time_as_asked


if TYPE_CHECKING:
    from datasets import Dataset

    from ...data.datasets import TextClassificationData
    from ...pruning.record.latency_schema import SpeedupSearch


CONTROLS = ("std_times_norm", "magnitude", "random")


def prune_and_compare(
    args: PruneArguments,
    model,
    tokenizer,
    data: TextClassificationData,
    splits: dict[str, Dataset],
    max_length: int,
    search: SpeedupSearch | None,
) -> Outcome:
    """
    Prunes copies of `model` by the criterion that was asked for, and by others to compare with, on the rows that
    [`draw_rows`] gives; `model` itself loses the layers that are to go.
    """
    from datasets import DatasetDict

    from ...pruning.comparison.predictions import predict
    from ...pruning.encoder.one_shot import measure_encoder
    from ...pruning.record.encoder_schema import Measured
    from ...reporting.building import num_parameters
    from ...reporting.encoder_building import DENSE
    from ...scoring.batches import batches_for

    held_out = held_out_split(data)
    rows = replace(data, splits=DatasetDict(splits)).tokenize(tokenizer, max_length)
    batches = {part: batches_for(model, rows[part], args.batch_size, processing_class=tokenizer) for part in splits}
    measured, compared = Measured(args.split, len(rows["measured"])), len(rows["compared"])
    tell(
        folded(
            f"Data: {Path(data.name).name}; {measured.rows:,} {args.split} rows to measure with, {compared:,} "
            f"{'other ' * (held_out == args.split)}{held_out} ones to compare on, cut to {max_length} tokens",
            "  ",
        )
    )

    predictions = {DENSE: predict(model, batches["compared"])}
    parameters = num_parameters(model)
    dense = copy.deepcopy(model) if args.latency else None  # which may lose layers
    dropping = drop_layers_as_asked(layers_to_keep(args, model, search), model, batches["measured"])
    started = time.perf_counter()
    evidence = measure_encoder(model, batches["measured"], args.seed, [args.criterion])
    seconds = {"measuring": time.perf_counter() - started}
    layers = len(evidence.groups)
    tell(f"Measured {layers} layer{'s' * (layers > 1)} in {seconds['measuring']:.0f} s")
    width = search.taken.width if search else None
    pruning_started = time.perf_counter()
    networks, pruned, sweep = pruned_networks(args, evidence, batches.get("searched"), width)
    started = time.perf_counter()
    predictions |= {name: predict(network, batches["compared"]) for name, network in networks.items()}
    told = f"{len(networks)} networks" if len(networks) > 1 else "the network"
    tell(f"Pruned and compared {told} in {time.perf_counter() - pruning_started:.0f} s")
    network = networks[args.criterion]
    tokenizer, trimming = trim_as_asked(args, network, tokenizer, data, held_out)
    if trimming is not None:  # what is saved is told of: on the same rows, in the tokens that they have now
        again = replace(data, splits=DatasetDict(compared=splits["compared"])).tokenize(tokenizer, max_length)
        test = batches_for(network, again["compared"], args.batch_size, processing_class=tokenizer)
        predictions[args.criterion] = predict(network, test)
    seconds |= {**pruned.seconds, "comparing": time.perf_counter() - started}
    started = time.perf_counter()
    latency = time_as_asked(args, dense, network, max_length, search)
    seconds["timing"] = time.perf_counter() - started
    return Outcome(
        parameters, network, tokenizer, pruned, predictions, measured, held_out, max_length, seconds,
        sweep, dropping, trimming, latency,
    )  # fmt: skip


def pruned_networks(args: PruneArguments, evidence, validation, width: int | None = None):
    """
    Networks pruned by the criterion that was asked for and by those to compare with, what was done to the first, and
    the search of its width, if there was one.
    """
    from ...pruning.comparison.predictions import predict
    from ...pruning.encoder.one_shot import Budget, prune_with
    from ...pruning.encoder.width_search import search_width
    from ...pruning.steps.encoder import not_even_the_widest

    criteria = dict.fromkeys([args.criterion, *(CONTROLS if args.compare else ())])
    networks, pruned, sweep = {}, {}, None
    if args.keep == AUTO:
        dense = predict(evidence.network, validation)
        found = search_width(evidence, args.criterion, validation, dense, margin=args.margin, scope=args.scope)
        sweep = found.sweep
        if found.network is None or found.pruning is None:
            raise ValueError(not_even_the_widest(sweep, "--keep auto"))
        networks[args.criterion], pruned[args.criterion] = found.network, found.pruning
        counts = found.pruning.selection.counts
        taken = f"{sum(counts.values()) / len(counts):,.0f}{' on average' if args.scope == 'global' else ''}"
        tell(f"Tried {len(sweep.levels)} widths on {sweep.rows:,} validation rows; took {taken}")
    else:
        counts = Budget(args.criterion, args.fraction or 1.0, width, args.scope).counts_of(evidence)
    budgets = {name: Budget(name, counts=counts) for name in criteria if name not in networks}
    networks |= {name: copy.deepcopy(evidence.network) for name in budgets}
    pruned |= prune_with(evidence, budgets, {name: networks[name] for name in budgets})
    return {name: networks[name] for name in criteria}, pruned[args.criterion], sweep
