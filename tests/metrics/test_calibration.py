import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.metrics.calibration import calibration_bins, expected_calibration_error, reliability


@given(
    rows=st.integers(1, 60),
    classes=st.integers(2, 5),
    scale=st.sampled_from([0.1, 3.0, 100.0]),
    seed=st.integers(0, 9),
)
def test_points_and_error_tell_the_same(rows, classes, scale, seed):
    generator = np.random.default_rng(seed)
    logits = (scale * generator.normal(size=(rows, classes))).astype(np.float32)
    labels = generator.integers(0, classes, rows)
    points = reliability(logits, labels)
    assert sum(point["rows"] for point in points) == rows == calibration_bins(logits, labels).rows.sum()
    error = sum(point["rows"] * abs(point["accuracy"] - point["confidence"]) for point in points) / rows
    assert expected_calibration_error(logits, labels) == pytest.approx(error, abs=1e-12)
    accuracy = sum(point["rows"] * point["accuracy"] for point in points) / rows
    assert accuracy == pytest.approx((logits.argmax(1) == labels).mean())
    confidences = [point["confidence"] for point in points]
    assert (
        confidences == sorted(confidences) and min(confidences) >= 1 / classes - 1e-9 and max(confidences) <= 1 + 1e-9
    )


def test_probabilities_of_large_logits():
    points = reliability(np.array([[1e4, 1e4], [0.0, -1e4]]), np.array([0, 0]))
    assert [point["confidence"] for point in points] == [0.5, 1.0]


def test_bins_by_hand():
    logits = np.log(np.array([[0.7, 0.3], [0.7, 0.3], [0.99, 0.01]]))
    points = reliability(logits, np.array([0, 1, 0]))
    assert [point["rows"] for point in points] == [2, 1]
    assert points[0] == {"rows": 2, "confidence": pytest.approx(0.7), "accuracy": 0.5}
    assert points[1] == {"rows": 1, "confidence": pytest.approx(0.99), "accuracy": 1.0}
