"""Accuracy, macro F1 and loss of logits on any device, with what each row adds to them."""

from __future__ import annotations

import torch
from torch import nn


def metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Accuracy, macro F1 and loss (nats) of `[N, classes]` logits."""
    # Named here and not imported from the package: `evaluate` loads this file on its own.
    return {name: metric_and_influence(name, logits, labels)[0] for name in ("accuracy", "macro_f1", "loss")}


def metric_and_influence(metric: str, logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The metric, and each row's influence on it: the metric is their mean, exactly or to first order."""
    if metric == "loss":
        rows = nn.functional.cross_entropy(logits.double(), labels, reduction="none")
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
