"""Metrics with standard errors: those of resampled rows; differences are those of pairs."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.metrics.calibration import calibration_error_and_influence, expected_calibration_error
from hf_midropout.pruning.comparison.evaluation import METRICS, compare_paired, evaluate
from hf_midropout.pruning.comparison.predictions import Predictions


def made_up(rows: int, seed: int, skill: float = 1.5, classes: int = 3) -> Predictions:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (rows,), generator=torch.Generator().manual_seed(99))
    noise = torch.randn(rows, classes, generator=generator)
    return Predictions(skill * torch.nn.functional.one_hot(labels, classes) + noise, labels)


def resampled(predictions: Predictions, rows: torch.Tensor) -> Predictions:
    return Predictions(predictions.logits[rows], predictions.labels[rows])


def test_standard_errors_are_those_of_the_bootstrap():
    this, other = made_up(400, 0), made_up(400, 1, skill=2.5)
    draws = torch.randint(0, 400, (300, 400), generator=torch.Generator().manual_seed(5))
    values = [
        [evaluate(resampled(each, rows)).metrics for each in (this, other)] for rows in draws
    ]  # fmt: skip
    found, paired = evaluate(this).metrics, compare_paired(this, other, 0.01).differences
    for name in METRICS:
        alone = np.std([one[name].value for one, _ in values])
        differences = np.std([one[name].value - two[name].value for one, two in values])
        assert found[name].stderr == pytest.approx(alone, rel=0.25), name
        assert paired[name].stderr == pytest.approx(differences, rel=0.25), name


@given(st.integers(1, 60), st.integers(0, 5))
def test_the_calibration_error_is_the_mean_of_what_rows_add(rows, seed):
    predictions = made_up(rows, seed)
    logits, labels = predictions.logits.numpy(), predictions.labels.numpy()
    value, influence = calibration_error_and_influence(logits, labels)
    assert value == pytest.approx(expected_calibration_error(logits, labels)) and influence.shape == (rows,)


@given(st.integers(2, 60), st.integers(0, 5), st.integers(0, 5))
def test_a_comparison_the_other_way_round(rows, seed, other_seed):
    this, other = made_up(rows, seed), made_up(rows, other_seed)
    one, two = compare_paired(this, other, 0.05), compare_paired(other, this, 0.05)
    for name in METRICS:
        assert one.differences[name].value == -two.differences[name].value
        assert one.differences[name].stderr == pytest.approx(two.differences[name].stderr)
    assert (one.only_this_right, one.only_other_right) == (two.only_other_right, two.only_this_right)
    assert one.agreement == two.agreement and (seed != other_seed or one.agreement == 1)


def test_other_rows_are_refused():
    this = made_up(20, 0)
    for other in (made_up(21, 0), resampled(this, torch.arange(20).flip(0)), made_up(20, 0, classes=4)):
        with pytest.raises(ValueError, match="of different rows or classes"):
            compare_paired(this, other, 0.01)
