"""What networks predict on the same rows, and how one differs from another, row against row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ..metrics.calibration import reliability
from ..metrics.classification import metric_and_influence
from ..metrics.text_classification import classification_metrics
from ..scoring.inference import Batches, frozen_inference
from ..scoring.passes import forward_passes
from .encoder_schema import Difference, Estimate


@dataclass
class Predictions:
    """
    Of a network on some rows.

    Args:
        logits (`torch.Tensor` of shape `[N, C]`): In float32, on the CPU.
        labels (`torch.Tensor` of shape `[N]`): Classes.
    """

    logits: torch.Tensor
    labels: torch.Tensor

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Accuracy, macro F1, loss (nats) and calibration error."""
        return classification_metrics(self.logits.numpy(), self.labels.numpy())

    @property
    def calibration(self) -> list[dict[str, Any]]:
        """The points of the reliability diagram: [`~metrics.calibration.reliability`]."""
        return reliability(self.logits.numpy(), self.labels.numpy())

    @property
    def largest_class(self) -> float:
        """Share of the rows that are of the most frequent class."""
        return float(self.labels.bincount().max()) / len(self.labels)

    def less(self, other: Predictions, dense: Predictions) -> Difference:
        """
        How much more bits this network has lost than `other`, and how much higher its accuracy is.

        Args:
            other ([`Predictions`]): On the same rows.
            dense ([`Predictions`]): On the same rows, of the network that both were pruned from.
        """
        own, others = (bits_lost_by_row(dense.logits, each.logits) for each in (self, other))
        right, right_of_other = (
            metric_and_influence("accuracy", each.logits, each.labels)[1] for each in (self, other)
        )
        return Difference(mean_over_rows(own - others), mean_over_rows(right - right_of_other))


def predict(model: nn.Module, batches: Batches) -> Predictions:
    """Runs `model` over `batches`."""
    logits, labels = [], []
    with frozen_inference(model):
        for each in forward_passes(model, batches):
            logits.append(each.outputs.logits.float().cpu())
            labels.append(each.labels.cpu())
    return Predictions(torch.cat(logits), torch.cat(labels))


def bits_lost_by_row(dense: torch.Tensor, pruned: torch.Tensor) -> torch.Tensor:
    """`[N]` Kullback-Leibler divergences, in bits, of the predictions `pruned` from `dense`, both logits `[N, C]`."""
    log_p, log_q = dense.double().log_softmax(-1), pruned.double().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1) / math.log(2)


def bits_lost(dense: torch.Tensor, pruned: torch.Tensor) -> tuple[float, float]:
    """The mean of [`bits_lost_by_row`], and its standard error over rows."""
    estimate = mean_over_rows(bits_lost_by_row(dense, pruned))
    return estimate.value, estimate.stderr


def mean_over_rows(values: torch.Tensor) -> Estimate:
    """The mean of one value a row, and its standard error."""
    return Estimate(float(values.mean()), float(values.std(correction=0)) / math.sqrt(len(values)))
