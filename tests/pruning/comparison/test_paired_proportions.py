import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammaln
from scipy.stats import binom, norm

from hf_midropout.pruning.comparison.paired_proportions import (
    binomial_tail,
    normal_quantile,
    paired_proportions_p_value,
    tango_deviate,
    upper_tail,
)


counts = st.integers(1, 400).flatmap(
    lambda rows: st.tuples(st.just(rows), st.integers(0, rows)).flatmap(
        lambda drawn: st.tuples(st.just(drawn[0]), st.just(drawn[1]), st.integers(0, drawn[0] - drawn[1]))
    )
)
margins = st.floats(0.001, 0.5)


def log_probability(rows, lost, gained, share, margin):
    """Of the counts, where a share `share` of rows is gained and `share + margin` is lost."""
    terms = [(lost, share + margin), (gained, share), (rows - lost - gained, 1 - 2 * share - margin)]
    return sum(count * np.log(np.maximum(p, 1e-300)) for count, p in terms)


def test_published_example():
    """Tango (1998), Table II: 44 soft contact lenses, one of which one method disinfects and the other does not."""
    deviate = tango_deviate(lost=1, gained=0, rows=44, margin=0.1)
    assert deviate == pytest.approx(1.709, abs=5e-4)
    assert upper_tail(deviate) == pytest.approx(0.0437, abs=1e-4)


@settings(max_examples=60)
@given(counts, margins)
def test_its_variance_is_that_of_the_most_likely_shares_under_the_hypothesis(drawn, margin):
    rows, lost, gained = drawn
    shares = np.linspace(0, (1 - margin) / 2, 20001)
    share = shares[log_probability(rows, lost, gained, shares, margin).argmax()]
    expected = (rows * margin - lost + gained) / math.sqrt(rows * (2 * share + margin * (1 - margin)))
    assert tango_deviate(lost, gained, rows, margin) == pytest.approx(expected, rel=0.02, abs=0.02)


@settings(max_examples=100)
@given(counts, margins)
def test_p_values_are_ordered_as_the_evidence_is(drawn, margin):
    rows, lost, gained = drawn
    p_value = paired_proportions_p_value(lost, gained, rows, margin)
    assert (1 - margin) ** rows * (1 - 1e-9) <= p_value <= 1
    if lost:
        assert paired_proportions_p_value(lost - 1, gained, rows, margin) <= p_value + 1e-12
    assert paired_proportions_p_value(lost, gained, rows, margin + 0.05) <= p_value + 1e-12


@pytest.mark.parametrize("rows", [40, 60, 100, 300])
@pytest.mark.parametrize("margin", [0.01, 0.03, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("alpha", [0.01, 0.05])
def test_a_network_worse_by_the_margin_passes_no_more_often_than_alpha_says(rows, margin, alpha):
    """Over all outcomes, each with its probability, for every share of rows that both networks differ on."""
    passing, fewest_gained = [], 0
    for lost in range(rows):
        while paired_proportions_p_value(lost, fewest_gained, rows, margin) > alpha and fewest_gained <= rows - lost:
            fewest_gained += 1
        passing += [(lost, gained) for gained in range(fewest_gained, rows - lost + 1)]
    if (1 - margin) ** rows > alpha:
        assert not passing
        return
    lost, gained = np.array(passing).T
    choose = gammaln(rows + 1) - gammaln(lost + 1) - gammaln(gained + 1) - gammaln(rows - lost - gained + 1)
    for share in (1e-9, 1e-4, 1e-3, *np.linspace(0.005, 0.45 - margin / 2, 20)):
        size = np.exp(choose + log_probability(rows, lost, gained, share, margin)).sum()
        assert size <= 1.25 * alpha, share


@given(st.integers(0, 50), st.integers(0, 500), st.floats(0.001, 1.0))
def test_binomial_tail(successes, more, probability):
    trials = successes + more
    assert binomial_tail(successes, trials, probability) == pytest.approx(
        binom.cdf(successes, trials, probability), rel=1e-9, abs=1e-12
    )


@given(st.floats(0.001, 0.999))
def test_normal_law(probability):
    assert normal_quantile(probability) == pytest.approx(norm.ppf(probability), abs=1e-9)
    assert upper_tail(normal_quantile(1 - probability)) == pytest.approx(probability)
