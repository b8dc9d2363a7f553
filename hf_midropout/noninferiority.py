"""Whether a pruned network is no worse than the dense one by more than a margin: paired, one-sided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from .choices import METRICS as METRICS


@dataclass
class Comparison:
    """
    Args:
        value (`float`): The metric of the pruned network.
        difference (`float`): How much worse it is than the dense one's; below 0 if it is better.
        stderr (`float`): Standard error of that difference, over rows.
        p_value (`float`): Probability of a difference as small if the pruned network were worse by the margin.
    """

    value: float
    difference: float
    stderr: float
    p_value: float


def compare(metric: str, dense: torch.Tensor, pruned: torch.Tensor, labels: torch.Tensor, margin: float) -> Comparison:
    """
    Tests the hypothesis that the pruned network is worse by `margin` or more, row against row (a Wald test; for
    accuracy the one of Blackwelder, 1982, on paired proportions).

    Args:
        metric (`str`): `"accuracy"`, `"macro_f1"` or `"loss"` (nats).
        dense, pruned (`torch.Tensor` of shape `[N, classes]`): Logits.
        labels (`torch.Tensor` of shape `[N]`): Classes.
        margin (`float`): What is tolerated, in the units of the metric.
    """
    sign = -1.0 if metric == "loss" else 1.0
    value_dense, influence_dense = metric_and_influence(metric, dense, labels)
    value, influence = metric_and_influence(metric, pruned, labels)
    worse = sign * (value_dense - value)
    stderr = float((influence_dense - influence).std(correction=0)) / math.sqrt(len(labels))
    if stderr == 0:
        p_value = 0.0 if worse < margin else 1.0
    else:
        p_value = 0.5 * math.erfc((margin - worse) / stderr / math.sqrt(2))
    return Comparison(value, worse, stderr, p_value)


def rows_needed(margin: float, alpha: float, variance: float) -> int:
    """Rows at which a network that is no worse passes with even chance; `variance` is that of a row's difference."""
    return math.ceil(_normal_quantile(alpha) ** 2 * variance / margin**2)


def _normal_quantile(probability: float) -> float:
    return math.sqrt(2) * float(torch.special.erfinv(torch.tensor(2 * probability - 1, dtype=torch.float64)))


def metric_and_influence(metric: str, logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The metric, and each row's influence on it: the metric is their mean, exactly or to first order."""
    if metric == "loss":
        rows = torch.nn.functional.cross_entropy(logits.double(), labels, reduction="none")
        return float(rows.mean()), rows
    predicted = logits.argmax(1)
    right = (predicted == labels).double()
    if metric == "accuracy":
        return float(right.mean()), right
    # F1 of a class is 2 TP / (predicted + actual), a ratio of means: its derivative in both gives a row's influence.
    classes = torch.arange(logits.shape[1], device=logits.device)
    is_predicted, is_actual = predicted[:, None] == classes, labels[:, None] == classes
    present = is_actual.any(0) | is_predicted.any(0)
    hits = 2.0 * (is_predicted & is_actual).double()[:, present]
    total = (is_predicted.double() + is_actual.double())[:, present]
    f1 = hits.mean(0) / total.mean(0)
    influence = ((hits - f1 * total) / total.mean(0)).mean(1)
    return float(f1.mean()), influence
