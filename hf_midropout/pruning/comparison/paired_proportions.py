"""Tests on the rows that one of two networks gets right and the other wrong; the normal and binomial laws for them."""

from __future__ import annotations

import math

import torch


def paired_proportions_p_value(lost: int, gained: int, rows: int, margin: float) -> float:
    """
    Of the hypothesis that the share of `lost` rows exceeds that of `gained` ones by `margin` or more: the score test
    of Tango (Statistics in Medicine 17, 1998), see `tango_deviate`; and no less than the exact binomial test that is
    to be passed where no row can be gained, which holds the error rate where few rows differ.
    """
    if margin >= 1:
        return 0.0
    return max(upper_tail(tango_deviate(lost, gained, rows, margin)), binomial_tail(lost - gained, rows, margin))


def tango_deviate(lost: int, gained: int, rows: int, margin: float) -> float:
    """
    Standard normal deviate of the score test. Its variance is the most likely one under the hypothesis, so that there
    is a margin to overcome even where no row is lost or gained.

    Args:
        lost, gained (`int`): Rows that only the first network gets right, and only the second.
        rows (`int`): All rows.
        margin (`float`): In (0, 1).
    """
    # Share of gained rows under the hypothesis: the larger root of 2n q^2 + linear q - gained margin (1 - margin).
    linear = (2 * rows - lost + gained) * margin - lost - gained
    root = math.sqrt(linear**2 + 8 * rows * gained * margin * (1 - margin))
    share = max(0.0, (root - linear) / (4 * rows))
    return (rows * margin - lost + gained) / math.sqrt(rows * (2 * share + margin * (1 - margin)))


def binomial_tail(successes: int, trials: int, probability: float) -> float:
    """P(X <= max(successes, 0)) of a binomial variable."""
    if probability >= 1:
        return float(successes >= trials)
    counts = torch.arange(min(max(successes, 0), trials) + 1, dtype=torch.float64)
    total = torch.tensor(float(trials), dtype=torch.float64)
    choose = torch.lgamma(total + 1) - torch.lgamma(counts + 1) - torch.lgamma(total - counts + 1)
    terms = choose + counts * math.log(probability) + (total - counts) * math.log1p(-probability)
    return min(1.0, float(terms.logsumexp(0).exp()))


def upper_tail(deviate: float) -> float:
    """P(X >= deviate) of a standard normal variable."""
    return 0.5 * math.erfc(deviate / math.sqrt(2))


def normal_quantile(probability: float) -> float:
    """The value below which a standard normal variable lies with that probability."""
    return math.sqrt(2) * float(torch.special.erfinv(torch.tensor(2 * probability - 1, dtype=torch.float64)))
