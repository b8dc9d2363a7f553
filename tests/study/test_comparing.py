import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from hf_midropout.study.comparing import holm, paired_difference


def test_it_is_the_paired_t_test():
    one, other = [0.81, 0.84, 0.79, 0.90, 0.85], [0.80, 0.80, 0.80, 0.84, 0.83]
    found, expected = paired_difference(one, other), ttest_rel(one, other)
    interval = expected.confidence_interval(0.95)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(0.024) and found.seeds == 5


def test_no_spread():
    assert paired_difference([1, 2, 3], [1, 2, 3]).p_value == 1
    alike = paired_difference([0.82, 0.72], [0.80, 0.70])  # but for rounding
    assert alike.mean == pytest.approx(0.02) and math.isnan(alike.p_value) and math.isnan(alike.low)


@pytest.mark.parametrize(("one", "other"), [([1], [2]), ([1, 2], [1])])
def test_too_few(one, other):
    with pytest.raises(ValueError, match="needs as many of both, 2 or more"):
        paired_difference(one, other)


def test_holm_passes_over_what_was_not_tested():
    nan = float("nan")
    assert holm([nan, 0.01, 0.04, nan]) == pytest.approx([nan, 0.02, 0.04, nan], nan_ok=True)
    assert holm([]) == []


def test_holm():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferroni(p_values):
    corrected = holm(p_values)
    for before, after in zip(p_values, corrected, strict=True):
        assert before <= after <= min(1, before * len(p_values)) + 1e-12
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    assert [corrected[index] for index in order] == sorted(corrected)
