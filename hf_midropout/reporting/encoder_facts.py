"""What page and card say of an encoder that was pruned in one shot."""

from __future__ import annotations

from typing import Any

from ..pruning.record.encoder_schema import PrunedEncoder
from ..pruning.record.latency_schema import Latency
from ..utils.terminal import one_line
from .card_facts import common_facts
from .compared import compared
from .parts import encoder_criterion_name
from .report import Report
from .verdict import p_value, place, plus_minus


def encoder_facts(report: Report, config: dict[str, Any]) -> dict[str, Any]:
    """
    The values of the templates.

    Args:
        report ([`Report`]): With an `encoder`.
        config (`dict`): The checkpoint's `config.json`.

    Raises:
        `KeyError`, `TypeError`, `AttributeError`, `IndexError`, `ValueError`: if a `config` is not such a one.
    """
    encoder = report.encoder
    assert encoder is not None  # of this kind
    return common_facts(report, config) | {
        "criterion": encoder_criterion_name(encoder.criterion),
        "neurons_before": encoder.neurons,
        "neurons_after": encoder.kept,
        "also": also_done(encoder),
        "neurons_at_first": encoder.neurons_at_first,
        "layers": [{"name": name, **vars(group)} for name, group in encoder.groups.items()],
        "measured": vars(encoder.measured),
        "networks": [
            {
                **vars(each.metrics),
                "name": each.name,
                "used": each.chosen,
                "noise": each.noise,
                "bits": plus_minus(each.to_dense.bits, sign="-") if each.to_dense else None,
                "points": plus_minus(each.to_dense.accuracy, 100, 2) if each.to_dense else None,
            }
            for each in compared(report)
        ],
        "has_controls": bool(encoder.controls),
    }


def also_done(encoder: PrunedEncoder) -> list[str]:
    """How the width was found, and what else made the network smaller, with what it may cost."""
    told = []
    if encoder.is_uneven:
        widths = [group.kept for group in encoder.groups.values()]
        told.append(
            f"Layers have different widths, {min(widths):,} to {max(widths):,} neurons: at no more multiplications "
            "than with as many in each layer, blocks of neurons were kept where their "
            f"{encoder_criterion_name(encoder.criterion)} is highest. transformers' own classes cannot load such "
            "layers; those of hf_midropout do."
        )
    if encoder.sweep is not None and encoder.sweep.chosen is not None:
        row = encoder.sweep.levels[encoder.sweep.chosen]
        told.append(
            f"The width is the smallest of {len(encoder.sweep.levels)} tried, the widest first, that is shown to lose "
            f"less than {encoder.sweep.margin:g} {encoder.sweep.metric} on {encoder.sweep.rows:,} validation rows: "
            f"{row.difference:+.4f} ± {row.stderr:.4f} worse, {p_value(row.p_value)}."
        )
    if encoder.layers is not None:
        left = ", ".join(map(str, encoder.layers.kept))
        told.append(
            f"Before the neurons whole layers went: {encoder.layers.layers:,} -> {len(encoder.layers.kept):,} (of "
            f"0 to {encoder.layers.layers - 1}, {left} are left), and what is left was refitted."
        )
    if encoder.vocabulary is not None:
        words = encoder.vocabulary
        told.append(
            f"Tokens that do not occur in {words.texts:,} training texts were removed: {words.tokens_before:,} -> "
            f"{words.tokens_after:,}. Of {words.held_out:,} other texts {words.identical:.1%} have the same tokens as "
            f"before; all have {words.length_ratio:.3f} times as many, {max(words.new_unknown, 0):,} more of them "
            "unknown. Texts unlike these become longer, and predictions for them may differ."
        )
    if encoder.latency is not None:
        told += [of_time(encoder.latency), *([of_speedup(encoder.latency)] if encoder.latency.search else [])]
    return told


def of_time(latency: Latency) -> str:
    """The times that were measured."""
    each = "; ".join(
        f"batch {timing.batch_size:,}: {timing.pruned:,.3g} ms, dense {timing.dense:,.3g} ms"
        for timing in latency.timings
    )
    return (
        f"Time of a forward pass in PyTorch, {latency.tokens:,} tokens a row, {one_line(latency.dtype, 20)}, "
        f"{place(latency)}, medians of passes that took turns: {each}. On other machines the ratio differs."
    )


def of_speedup(latency: Latency) -> str:
    """How the width was found by time."""
    search = latency.search
    assert search is not None
    return (
        f"{search.taken.width:,} neurons in each of {search.taken.layers:,} layers are the most at which passes of "
        f"{search.batch_size:,} x {latency.tokens:,} tokens were {search.wanted:g} times faster "
        f"({search.taken.speedup:.2f} times, the last of {len(search.tried):,} measurements)."
    )
