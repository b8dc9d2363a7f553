"""The narrowest encoder that is non-inferior to the dense one on validation rows: the paper's threshold search."""

from __future__ import annotations

import copy
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...choices import Metric, Scope
from ...metrics.classification import metrics
from ...scoring.batches import Batches
from ..comparison.noninferiority import compare
from ..comparison.predictions import Predictions, predict
from ..record.schema import Sweep, SweepRow
from ..selection import NothingToSelect
from .evidence import EncoderEvidence
from .one_shot import Budget, EncoderPruning, prune_with


if TYPE_CHECKING:
    from transformers import PreTrainedModel


FRACTIONS = (0.875, 0.75, 0.625, 0.5, 0.4375, 0.375, 0.3125, 0.25, 0.1875, 0.125, 0.09375, 0.0625, 0.03125)
AT_ONCE = 4
"""Networks that are pruned side by side: each holds hidden states of all rows."""


@dataclass
class WidthSearch:
    """
    Args:
        sweep ([`Sweep`]): What was tried, from the widest to the narrowest, and the number of the one chosen.
        network (`PreTrainedModel`, *optional*): The narrowest that is non-inferior; `None` if not even the widest is.
        pruning ([`EncoderPruning`], *optional*): What was done to it.
        predictions ([`Predictions`], *optional*): Its, for the validation rows.
    """

    sweep: Sweep
    network: PreTrainedModel | None = None
    pruning: EncoderPruning | None = None
    predictions: Predictions | None = None


def search_width(
    evidence: EncoderEvidence,
    criterion: str,
    validation: Batches,
    dense: Predictions,
    *,
    metric: Metric = "accuracy",
    margin: float = 0.01,
    alpha: float = 0.05,
    reconstruct: bool = True,
    scope: Scope = "layer",
) -> WidthSearch:
    """
    Prunes to one width after the other, the widest first, and tests each on the same validation rows until one fails.
    A fixed sequence of tests needs no correction for their number.

    Args:
        evidence ([`EncoderEvidence`]): Of the dense network.
        criterion (`str`): A key of `ENCODER_CRITERIA`.
        validation (`Batches`): Labelled rows.
        dense ([`Predictions`]): Of the dense network, for them.
        metric, margin, alpha: As in [`MIDropoutConfig`].
        reconstruct (`bool`, *optional*, defaults to `True`): As in [`prune_with`].
        scope (`str`, *optional*, defaults to `"layer"`): As in [`Budget`].
    """
    tried = all_counts(evidence, criterion, scope)
    result = WidthSearch(Sweep(metric, margin, alpha, len(dense.labels), metrics(dense.logits, dense.labels)))
    for first in range(0, len(tried), AT_ONCE):
        budgets = {
            str(number): Budget(criterion, counts=counts)
            for number, counts in enumerate(tried[first : first + AT_ONCE], first)
        }
        networks = {name: copy.deepcopy(evidence.network) for name in budgets}
        prunings = prune_with(evidence, budgets, networks, reconstruct)
        for name, network in networks.items():
            predictions = predict(network, validation)
            row = tested(result.sweep, prunings[name], dense, predictions)
            result.sweep.levels.append(row)
            if row.p_value > alpha:
                return result
            result.sweep.chosen = len(result.sweep.levels) - 1
            result.network, result.pruning, result.predictions = network, prunings[name], predictions
    return result


def all_counts(evidence: EncoderEvidence, criterion: str, scope: Scope) -> list[dict[str, int]]:
    """How many neurons of each group to keep, for each of `FRACTIONS` that drops any, each once."""
    found: list[dict[str, int]] = []
    for fraction in FRACTIONS:
        with suppress(NothingToSelect):
            counts = Budget(criterion, fraction, scope=scope).counts_of(evidence)
            if counts not in found:
                found.append(counts)
    return found


def tested(sweep: Sweep, pruning: EncoderPruning, dense: Predictions, pruned: Predictions) -> SweepRow:
    """One width against the dense network."""
    test = compare(sweep.metric, dense.logits, pruned.logits, dense.labels, sweep.margin)
    return SweepRow(
        threshold=pruning.selection.threshold,
        kept={name: count for name, (count, _) in pruning.selection.widths.items()},
        difference=test.difference,
        stderr=test.stderr,
        p_value=test.p_value,
        **metrics(pruned.logits, pruned.labels),
    )
