import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.pruning.block_removal import removal_costs


def covariance(units: int, seed: int) -> torch.Tensor:
    rows = torch.randn(3 * units, units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    rows[:, 1:] += 0.7 * rows[:, :-1]  # neighbours share something
    return torch.cov(rows.t())


def unexplained(matrix: torch.Tensor, unit: int, others: list[int]) -> float:
    """Variance of `unit` that a linear regression on `others` leaves."""
    if not others:
        return float(matrix[unit, unit])
    across = matrix[others][:, [unit]]
    return float(matrix[unit, unit] - (across.t() @ torch.linalg.solve(matrix[others][:, others], across)).squeeze())


@given(st.integers(2, 7), st.integers(0, 10_000))
def test_one_by_one_it_is_the_greedy_removal_by_regression(units, seed):
    matrix = covariance(units, seed)
    weight = torch.rand(units, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1
    costs = removal_costs(matrix, weight, ridge=0.0, blocks=units)
    left, floor = list(range(units)), 0.0
    while left:
        each = {unit: float(weight[unit]) * unexplained(matrix, unit, [u for u in left if u != unit]) for unit in left}
        cheapest = min(each, key=lambda unit: each[unit])
        floor = max(floor, each[cheapest])
        assert float(costs[cheapest]) == pytest.approx(floor, rel=1e-6)
        left.remove(cheapest)


def test_a_copy_of_a_unit_is_removed_for_next_to_nothing_and_its_twin_is_not():
    matrix = covariance(8, 0)
    rows = torch.cat([torch.arange(8), torch.tensor([3])])
    costs = removal_costs(matrix[rows][:, rows], torch.ones(9), blocks=9)
    assert min(costs[3], costs[8]) < 0.01 * costs.median()
    assert max(costs[3], costs[8]) > 0.2 * costs.median()


def test_units_that_never_fire_go_first():
    matrix = covariance(6, 1)
    matrix[2] = matrix[:, 2] = 0
    costs = removal_costs(matrix, torch.ones(6), blocks=6)
    assert costs.isfinite().all()
    assert int(costs.argmin()) == 2
