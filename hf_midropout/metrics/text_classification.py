"""Accuracy, macro F1, cross-entropy and calibration from logits: an `evaluate` metric that needs no network."""

import datasets
import evaluate
import numpy as np
import torch

from .calibration import expected_calibration_error
from .classification import metrics


_DESCRIPTION = """
Accuracy, macro-averaged F1, mean cross-entropy (nats) and expected calibration error of a single-label classifier,
computed from its logits.
"""

_KWARGS_DESCRIPTION = """
Args:
    predictions (list of list of float): logits, one row per sample.
    references (list of int): the true class of each sample, 0..C-1.
Returns:
    accuracy (float): fraction of samples whose largest logit is that of the true class.
    macro_f1 (float): F1 averaged over the classes that occur in references or predictions.
    loss (float): mean cross-entropy in nats.
    expected_calibration_error (float): mean gap between confidence and accuracy over 15 equal-width confidence bins,
        weighted by their samples (Guo et al., 2017).
"""

_CITATION = """
@inproceedings{guo2017calibration,
    title = {On Calibration of Modern Neural Networks},
    author = {Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.},
    booktitle = {International Conference on Machine Learning},
    year = {2017},
}
"""


class TextClassificationMetrics(evaluate.Metric):
    """`evaluate.load` takes the path of this file; or make an instance and call `compute`."""

    def _info(self):
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_KWARGS_DESCRIPTION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float32")),
                    "references": datasets.Value("int64"),
                }
            ),
        )

    def _compute(self, predictions, references):
        return classification_metrics(np.asarray(predictions), np.asarray(references))


def classification_metrics(logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The four metrics of logits `[N, C]` and labels `[N]`."""
    values = metrics(torch.from_numpy(logits), torch.from_numpy(labels).long())
    return {**values, "expected_calibration_error": expected_calibration_error(logits, labels)}


def compute_metrics(prediction) -> dict[str, float]:
    """For `Trainer(compute_metrics=...)`: accuracy, macro F1 and calibration (the Trainer adds the loss itself)."""
    logits = prediction.predictions
    values = TextClassificationMetrics(keep_in_memory=True).compute(
        predictions=logits[0] if isinstance(logits, tuple) else logits, references=prediction.label_ids
    )
    values.pop("loss")
    return values
