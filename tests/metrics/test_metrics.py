import evaluate
import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from hf_midropout.metrics import TextClassificationMetrics, text_classification


@pytest.fixture
def prediction():
    generator = np.random.default_rng(0)
    return generator.normal(size=(200, 3)).astype(np.float32), generator.integers(0, 3, 200)


def test_values(prediction):
    logits, labels = prediction
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    metrics = TextClassificationMetrics(keep_in_memory=True).compute(predictions=logits, references=labels)
    assert metrics["accuracy"] == pytest.approx((logits.argmax(1) == labels).mean())
    assert metrics["macro_f1"] == pytest.approx(f1_score(labels, logits.argmax(1), average="macro"))
    assert metrics["loss"] == pytest.approx(log_loss(labels, probabilities), abs=1e-6)


def test_calibration_error():
    confident = np.log(np.array([[0.8, 0.2]] * 10))
    right_half_the_time = np.array([0, 1] * 5)
    metrics = text_classification.classification_metrics(confident, right_half_the_time)
    assert metrics["expected_calibration_error"] == pytest.approx(0.3)


def test_loads_by_path_without_a_network(prediction, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path))
    metric = evaluate.load(text_classification.__file__, keep_in_memory=True)
    logits, labels = prediction
    assert metric.compute(predictions=logits, references=labels)["accuracy"] < 0.6
