"""How often a classifier is right when it says how sure it is, from logits. Needs NumPy alone."""

from typing import Any, NamedTuple

import numpy as np


CALIBRATION_BINS = 15


class CalibrationBins(NamedTuple):
    """
    Sums over the rows of each of 15 bins of equal width, of the confidence in the class predicted.

    Args:
        rows (`np.ndarray` of shape `[15]`): Their number.
        confidence (`np.ndarray` of shape `[15]`): Of the confidence.
        right (`np.ndarray` of shape `[15]`): Of rows whose prediction is right.
        gap (`np.ndarray` of shape `[15]`): Of right (1 or 0) less confidence.
    """

    rows: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    gap: np.ndarray


def calibration_bins(logits: np.ndarray, labels: np.ndarray) -> CalibrationBins:
    """The bins of logits `[N, C]` and labels `[N]`."""
    confidence, correct, bins = _binned(logits, labels)
    sums = (
        np.bincount(bins, weights, CALIBRATION_BINS) for weights in (None, confidence, correct, correct - confidence)
    )
    return CalibrationBins(*sums)


def _binned(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row its confidence, whether its prediction is right, and its bin."""
    logits = logits.astype(np.float64)
    confidence = 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return confidence, logits.argmax(1) == labels, bins


def calibration_error_and_influence(logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray]:
    """
    [`expected_calibration_error`], and what each row adds to it: the error is their mean. As long as no bin's gap is
    near zero, its standard error is that of this mean.
    """
    confidence, correct, bins = _binned(logits, labels)
    sides = np.sign(np.bincount(bins, correct - confidence, CALIBRATION_BINS))
    rows = sides[bins] * (correct - confidence)
    return float(rows.mean()), rows


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean gap between confidence and accuracy over the bins, weighted by their rows (Guo et al., 2017)."""
    return float(np.abs(calibration_bins(logits, labels).gap).sum() / len(labels))


def reliability(logits: np.ndarray, labels: np.ndarray) -> list[dict[str, Any]]:
    """
    The points of a reliability diagram; empty bins are left out.

    Returns:
        `list[dict]`: `rows`, and their mean `confidence` and `accuracy`, by rising confidence.
    """
    return [
        {"rows": int(rows), "confidence": float(confidence / rows), "accuracy": float(right / rows)}
        for rows, confidence, right, _ in zip(*calibration_bins(logits, labels), strict=True)
        if rows
    ]
