"""What a classifier predicts for rows: how good it is, and how far from another's."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from ..information.checks import IGNORE_INDEX
from ..metrics.text_classification import classification_metrics
from ..scoring.inference import Batches, frozen_inference
from ..scoring.passes import forward_passes


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

    def bits_lost(self, dense: Predictions) -> tuple[float, float]:
        """
        Mean Kullback-Leibler divergence, in bits, of these predictions from those of the `dense` network for the same
        rows, and its standard error.
        """
        log_p, log_q = dense.logits.double().log_softmax(-1), self.logits.double().log_softmax(-1)
        rows = (log_p.exp() * (log_p - log_q)).sum(-1) / math.log(2)
        return float(rows.mean()), float(rows.std(correction=0) / len(rows) ** 0.5)

    def compared(self, dense: Predictions) -> dict[str, float]:
        """`metrics`, and `bits_lost` with its standard error."""
        bits, stderr = self.bits_lost(dense)
        return {**self.metrics(), "bits_lost": bits, "bits_lost_stderr": stderr}


def predict(model: nn.Module, batches: Batches) -> Predictions:
    """Runs `model` over all of `batches`, on this process."""
    logits, labels = [], []
    with frozen_inference(model):
        for each in forward_passes(model, batches):
            labelled = torch.as_tensor(each.labels).cpu() != IGNORE_INDEX
            logits.append(each.outputs.logits.float().cpu()[labelled])
            labels.append(torch.as_tensor(each.labels).cpu()[labelled])
    if not logits:
        raise ValueError("The dataset to evaluate is empty.")
    return Predictions(torch.cat(logits), torch.cat(labels).long())
