"""What other criteria would have given at the same budget: whether mutual information earned its keep."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

from ...metrics.classification import metrics
from ..criteria import BASELINES, importance
from ..selection import Selection, select_counts
from .evidence import Evidence
from .inputs import HeadInputs
from .reconstruction import Reconstruction
from .search import level_logits


RANDOM_DRAWS = 5


def one_shot_baselines(
    evidence: Evidence,
    validation: HeadInputs,
    criterion: str,
    selection: Selection,
    reconstruction: Reconstruction | None = None,
) -> dict[str, Any]:
    """
    Validation metrics right after pruning, without retraining, under `criterion` and every baseline, each keeping as
    many neurons of each layer as `selection` does, and refitted in the same way.

    Returns:
        `dict`: `"rows"`, and `"one_shot"` with accuracy, macro F1 and loss (nats) by criterion; for `"random"` the
        means of some draws, and the standard deviation of their accuracy.
    """
    candidates = {criterion: [selection]}
    counts = {name: kept for name, (kept, _) in selection.widths.items()}
    for name in ("mutual_information", *BASELINES):
        if name == criterion:
            continue
        draws = RANDOM_DRAWS if name == "random" else 1
        candidates[name] = [
            select_counts(importance(replace(evidence, seed=draw) if name == "random" else evidence, name), counts)
            for draw in range(draws)
        ]
    rows = validation.labelled()
    labels = rows.labels.to(rows.hidden_states.device)
    one_shot: dict[str, dict[str, float]] = {}
    for name, selections in candidates.items():
        refits = [reconstruction.refit(each.kept) for each in selections] if reconstruction else None
        logits = level_logits(evidence.network, rows.hidden_states, selections, refits)
        results = [metrics(each, labels) for each in logits]
        one_shot[name] = {metric: statistics.fmean(result[metric] for result in results) for metric in results[0]}
        if len(results) > 1:
            one_shot[name]["accuracy_std"] = statistics.stdev(result["accuracy"] for result in results)
    return {"rows": len(labels), "one_shot": one_shot}
