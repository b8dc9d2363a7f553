"""Paired differences between methods, seed by seed, with intervals, corrected for the number of comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True)
class Difference:
    """
    Args:
        mean (`float`): Of the one minus the other, over seeds.
        low, high (`float`): 95% confidence interval of it (Student's t, paired).
        p_value (`float`): Two-sided, of no difference; of several comparisons, corrected by `holm`. NaN, as the
            interval, if all differences are alike and not 0: without a spread there is no test.
        seeds (`int`): Pairs.
    """

    mean: float
    low: float
    high: float
    p_value: float
    seeds: int


def paired_difference(one: Sequence[float], other: Sequence[float]) -> Difference:
    """
    Args:
        one, other (`Sequence[float]`): A number for each seed, in the same order.

    Raises:
        `ValueError`: for fewer than two seeds, or not the same number.
    """
    if len(one) != len(other) or len(one) < 2:
        raise ValueError(f"{len(one)} and {len(other)} seeds: needs as many of both, 2 or more.")
    differences = np.asarray(one, float) - np.asarray(other, float)
    mean, stderr = differences.mean(), differences.std(ddof=1) / np.sqrt(len(differences))
    rounding = 1e-12 * max(np.abs(one).max(), np.abs(other).max())
    if stderr <= rounding:
        if abs(mean) <= rounding:
            return Difference(0.0, 0.0, 0.0, 1.0, len(differences))
        return Difference(float(mean), np.nan, np.nan, np.nan, len(differences))
    reach = stats.t.ppf(0.975, len(differences) - 1) * stderr
    p_value = 2 * stats.t.sf(abs(mean) / stderr, len(differences) - 1)
    return Difference(float(mean), float(mean - reach), float(mean + reach), float(p_value), len(differences))


def holm(p_values: Sequence[float]) -> list[float]:
    """
    p-values corrected for their number (Holm, 1979): the chance of any false one below 0.05 stays below 0.05. NaN, no
    test, is not counted and stays NaN.
    """
    given = np.asarray(p_values, float)
    tested = np.flatnonzero(~np.isnan(given))
    order = tested[np.argsort(given[tested], kind="stable")]
    steps = given[order] * np.arange(len(order), 0, -1)
    corrected = np.full(len(given), np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected.tolist()
