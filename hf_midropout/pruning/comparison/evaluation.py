"""The metrics of a classifier with standard errors, alone and less those of another for the same rows."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ...metrics.calibration import calibration_error_and_influence
from ...metrics.classification import metric_and_influence
from ..record.encoder_schema import Estimate
from .noninferiority import Comparison, compare, compare_with_chance, rows_needed
from .predictions import Predictions, mean_over_rows


METRICS = ("accuracy", "macro_f1", "loss", "expected_calibration_error")
ALPHA = 0.05


@dataclass
class Evaluation:
    """
    Args:
        rows (`int`): Rows behind all figures.
        metrics (`dict[str, Estimate]`): Accuracy, macro F1, loss (nats) and expected calibration error.
        largest_class (`float`): Accuracy of always answering the most frequent class of these rows.
        chance ([`Comparison`]): Of the accuracy with that of answers that ignore the text.
    """

    rows: int
    metrics: dict[str, Estimate]
    largest_class: float
    chance: Comparison


@dataclass
class PairedComparison:
    """
    Of one classifier with another, row against row.

    Args:
        differences (`dict[str, Estimate]`): By metric, of the one less the other.
        agreement (`float`): Share of the rows to which both give the same class.
        only_this_right, only_other_right (`int`): Rows.
        margin (`float`): Accuracy that may be lost.
        p_value (`float`): Of an accuracy that is lower than the other's by the margin or more.
        rows_needed (`int`): At which a difference of none would be shown to be less than the margin, with even chance.
    """

    differences: dict[str, Estimate]
    agreement: float
    only_this_right: int
    only_other_right: int
    margin: float
    p_value: float
    rows_needed: int

    @property
    def not_worse(self) -> bool:
        """Whether the accuracy is shown to be lower by less than the margin."""
        return self.p_value <= ALPHA


def evaluate(predictions: Predictions) -> Evaluation:
    """The metrics of `predictions`, each with its standard error over the rows."""
    metrics = {}
    for name in METRICS:
        value, rows = influence(name, predictions)
        metrics[name] = Estimate(value, mean_over_rows(rows).stderr)
    chance = compare_with_chance("accuracy", predictions.logits, predictions.labels)
    return Evaluation(len(predictions.labels), metrics, predictions.largest_class(), chance)


def compare_paired(this: Predictions, other: Predictions, margin: float) -> PairedComparison:
    """
    Compares two classifiers on the same rows.

    Args:
        this, other ([`Predictions`]): Of the same rows, in the same order.
        margin (`float`): In (0, 1): the accuracy that `this` may lose.

    Raises:
        `ValueError`: if the rows are not the same.
    """
    if not torch.equal(this.labels, other.labels) or this.logits.shape != other.logits.shape:
        raise ValueError("The predictions to compare are of different rows or classes.")
    differences = {}
    for name in METRICS:
        (value, rows), (value_of_other, rows_of_other) = influence(name, this), influence(name, other)
        differences[name] = Estimate(value - value_of_other, mean_over_rows(rows - rows_of_other).stderr)
    answers, answers_of_other = this.logits.argmax(1), other.logits.argmax(1)
    right, right_of_other = answers == this.labels, answers_of_other == this.labels
    tested = compare("accuracy", other.logits, this.logits, this.labels, margin)
    variance = float((right.double() - right_of_other.double()).var(correction=0))
    return PairedComparison(
        differences,
        float((answers == answers_of_other).double().mean()),
        int((right & ~right_of_other).sum()),
        int((~right & right_of_other).sum()),
        margin,
        tested.p_value,
        rows_needed("accuracy", margin, ALPHA, variance),
    )


def influence(metric: str, predictions: Predictions) -> tuple[float, torch.Tensor]:
    """A metric, and `[N]` what each row adds to it: to first order the metric's spread is that of their mean."""
    if metric == "expected_calibration_error":
        value, rows = calibration_error_and_influence(predictions.logits.numpy(), predictions.labels.numpy())
        return value, torch.from_numpy(rows)
    return metric_and_influence(metric, predictions.logits, predictions.labels)
