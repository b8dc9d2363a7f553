"""Whether a pruned network is no worse than the dense one by more than a margin: paired, one-sided."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ...metrics.classification import metric_and_influence
from .paired_proportions import binomial_tail, normal_quantile, paired_proportions_p_value, upper_tail


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
    Tests the hypothesis that the pruned network is worse by `margin` or more, row against row: for accuracy Tango's
    score test (1998), for the others a Wald test. No p-value is below what as many rows support if none gets worse.

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
    if metric == "accuracy":
        lost, gained = int((influence < influence_dense).sum()), int((influence > influence_dense).sum())
        p_value = paired_proportions_p_value(lost, gained, len(labels), margin)
    else:
        p_value = max(_wald_p_value(worse, stderr, margin), binomial_tail(0, len(labels), margin))
    return Comparison(value, worse, stderr, p_value)


def compare_with_chance(metric: str, logits: torch.Tensor, labels: torch.Tensor) -> Comparison:
    """
    Tests the hypothesis that a network is no better than one that ignores its input: for the accuracy and the loss one
    that always gives the frequencies of the classes among `labels` (so its accuracy is the share of the largest class,
    its loss the entropy); for the macro F1 one that gives the same predictions to other rows, drawn at random.

    Returns:
        [`Comparison`]: of the network that ignores its input: its metric, how much worse it is, and the p-value.
    """
    value, influence = metric_and_influence(metric, logits, labels)
    if metric == "macro_f1":
        predicted, actual = (
            nn.functional.one_hot(each, logits.shape[1]).double() for each in (logits.argmax(1), labels)
        )
        total = predicted.mean(0) + actual.mean(0)
        present = total > 0
        covariance = (predicted - predicted.mean(0)) * (actual - actual.mean(0))
        rows = (2 * covariance[:, present] / total[present]).mean(1)
    else:
        constant = torch.bincount(labels, minlength=logits.shape[1]).double().log().expand(len(labels), -1)
        at_chance = metric_and_influence(metric, constant, labels)[1]
        rows = at_chance - influence if metric == "loss" else influence - at_chance
    better, stderr = float(rows.mean()), float(rows.std(correction=0)) / math.sqrt(len(labels))
    if metric == "accuracy":  # McNemar's test, exact
        p_value = binomial_tail(int((rows < 0).sum()), int((rows != 0).sum()), 0.5)
    else:
        p_value = _wald_p_value(-better, stderr, margin=0.0)
    return Comparison(value + better if metric == "loss" else value - better, better, stderr, p_value)


def _wald_p_value(worse: float, stderr: float, margin: float) -> float:
    if stderr == 0:
        return 0.0 if worse < margin else 1.0
    return upper_tail((margin - worse) / stderr)


def fewest_rows(metric: str, margin: float, alpha: float) -> int:
    """Rows below which no pruned network can pass, not even one that is right and wrong where the dense one is."""
    if margin >= 1:
        return 1
    rows = math.log(alpha) / math.log1p(-margin)
    if metric == "accuracy":
        rows = max(rows, normal_quantile(alpha) ** 2 * (1 - margin) / margin)
    return max(1, math.ceil(rows - 1e-9))


def too_few_rows(metric: str, margin: float, alpha: float, rows: int) -> str | None:
    """What to say if `rows` validation rows can show no network to be non-inferior; `None` if they can."""
    fewest = fewest_rows(metric, margin, alpha)
    if rows >= fewest:
        return None
    return (
        f"{rows} validation rows cannot show that a pruned network is worse by less than margin={margin} {metric} at "
        f"alpha={alpha}, however good it is: needs {fewest:,} rows or more, or a wider margin."
    )


def rows_needed(metric: str, margin: float, alpha: float, variance: float) -> int:
    """Rows at which a network that is no worse passes with even chance; `variance` is that of a row's difference."""
    if metric == "accuracy":  # the test takes no smaller one
        variance = max(variance, margin * (1 - margin))
    return max(fewest_rows(metric, margin, alpha), math.ceil(normal_quantile(alpha) ** 2 * variance / margin**2))
