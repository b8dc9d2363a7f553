"""How often a classifier is right when it says how sure it is: the points of a reliability diagram."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..information.checks import IGNORE_INDEX
from ..metrics.text_classification import CALIBRATION_BINS
from ..scoring.inference import frozen_inference
from .head_evaluation import HeadInputs


def reliability(inputs: HeadInputs, head: nn.Module, batch_size: int = 4096) -> list[dict[str, Any]]:
    """
    Mean confidence and accuracy of the labelled rows in each of 15 equal-width bins of confidence; empty bins are left
    out.

    Args:
        inputs ([`HeadInputs`]): What the head receives.
        head (`nn.Module`): The head of the classifier.
        batch_size (`int`, *optional*, defaults to 4096): Rows at a time.

    Returns:
        `list[dict]`: `rows`, `confidence` and `accuracy`, by rising confidence.
    """
    dtype = next(head.parameters()).dtype
    with frozen_inference(head):
        logits = torch.cat([head(chunk.to(dtype)).double().cpu() for chunk in inputs.hidden_states.split(batch_size)])
    labelled = inputs.labels.cpu() != IGNORE_INDEX
    confidence, predicted = logits[labelled].softmax(-1).max(-1)
    correct = predicted == inputs.labels.cpu()[labelled]
    bins = (confidence * CALIBRATION_BINS).long().clamp(max=CALIBRATION_BINS - 1)
    return [
        {
            "rows": int((bins == number).sum()),
            "confidence": float(confidence[bins == number].mean()),
            "accuracy": float(correct[bins == number].double().mean()),
        }
        for number in bins.unique().tolist()
    ]
