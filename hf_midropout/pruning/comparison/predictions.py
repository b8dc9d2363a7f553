"""What a classifier predicts for rows: how good it is, and how it differs from another, row against row."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from ...information.checks import IGNORE_INDEX
from ...metrics.calibration import reliability
from ...metrics.classification import metric_and_influence
from ...metrics.text_classification import classification_metrics
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference
from ...scoring.passes import forward_passes, rounds
from ..record.encoder_schema import Difference, Estimate


@dataclass
class Predictions:
    """
    Of the labelled rows among some batches.

    Args:
        logits (`torch.Tensor` of shape `[N, C]`): float32, on the CPU.
        labels (`torch.Tensor` of shape `[N]`): Classes.
    """

    logits: torch.Tensor
    labels: torch.Tensor

    def metrics(self) -> dict[str, float]:
        """Accuracy, macro F1, loss (nats) and calibration error."""
        return classification_metrics(self.logits.numpy(), self.labels.numpy())

    def calibration(self) -> list[dict[str, Any]]:
        """The points of the reliability diagram: [`~metrics.calibration.reliability`]."""
        return reliability(self.logits.numpy(), self.labels.numpy())

    def largest_class(self) -> float:
        """Share of the rows that are of the most frequent class."""
        return float(self.labels.bincount().max()) / len(self.labels)

    def bits_lost_by_row(self, dense: Predictions) -> torch.Tensor:
        """[`divergence`] of these predictions from those of the `dense` network for the same rows."""
        return divergence(dense.logits, self.logits)

    def bits_lost(self, dense: Predictions) -> tuple[float, float]:
        """The mean of [`Predictions.bits_lost_by_row`], and its standard error."""
        estimate = mean_over_rows(self.bits_lost_by_row(dense))
        return estimate.value, estimate.stderr

    def less(self, other: Predictions, dense: Predictions) -> Difference:
        """
        How many more bits this network has lost than `other`, and how much higher its accuracy is.

        Args:
            other ([`Predictions`]): For the same rows.
            dense ([`Predictions`]): For the same rows, of the network that both were pruned from.
        """
        right, right_of_other = (
            metric_and_influence("accuracy", each.logits, each.labels)[1] for each in (self, other)
        )
        bits = self.bits_lost_by_row(dense) - other.bits_lost_by_row(dense)
        return Difference(mean_over_rows(bits), mean_over_rows(right - right_of_other))

    def compared(self, dense: Predictions) -> dict[str, float]:
        """`metrics`, and `bits_lost` with its standard error."""
        bits, stderr = self.bits_lost(dense)
        return {**self.metrics(), "bits_lost": bits, "bits_lost_stderr": stderr}


def predict(model: nn.Module, batches: Batches, progress: str | None = None) -> Predictions:
    """Runs `model` over all of `batches`, on this process; with a bar on the terminal if `progress` describes it."""
    logits, labels = [], []
    with frozen_inference(model):
        passes = forward_passes(model, batches)
        for each in tqdm(passes, progress, rounds(batches, 1), unit="batch", leave=False, disable=progress is None):
            labelled = torch.as_tensor(each.labels).cpu() != IGNORE_INDEX
            logits.append(each.outputs.logits.float().cpu()[labelled])
            labels.append(torch.as_tensor(each.labels).cpu()[labelled])
    if not logits:
        raise ValueError("The dataset to evaluate is empty.")
    return Predictions(torch.cat(logits), torch.cat(labels).long())


def divergence(dense: torch.Tensor, pruned: torch.Tensor) -> torch.Tensor:
    """`[N]` Kullback-Leibler divergences, in bits, of predictions from others; both `[N, C]` logits."""
    log_p, log_q = dense.double().log_softmax(-1), pruned.double().log_softmax(-1)
    return (log_p.exp() * (log_p - log_q)).sum(-1) / math.log(2)


def mean_over_rows(values: torch.Tensor) -> Estimate:
    """The mean of one value a row, and its standard error."""
    return Estimate(float(values.mean()), float(values.std(correction=0)) / math.sqrt(len(values)))
