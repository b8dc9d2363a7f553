import pytest
import torch

from hf_midropout.pruning.encoder.normal_equations import NormalEquations, refit


@pytest.mark.parametrize("bias", [True, False])
def test_normal_equations_solve_weighted_least_squares(bias):
    generator = torch.Generator().manual_seed(0)
    units, targets = torch.randn(200, 5, generator=generator), torch.randn(200, 3, generator=generator)
    units, weights = units + 1, torch.rand(200, generator=generator)
    equations = NormalEquations(5, 3, torch.device("cpu"))
    for part in range(0, 200, 32):
        equations.update(units[part : part + 32], targets[part : part + 32], weights[part : part + 32])
    coefficients, biases = equations.solve(bias, ridge=0.0)
    root = weights.double().sqrt()[:, None]
    design = torch.cat([units.double(), torch.ones(200, 1)], 1) if bias else units.double()
    expected = torch.linalg.lstsq(root * design, root * targets.double()).solution
    assert torch.allclose(coefficients, expected[:5], atol=1e-5)
    assert torch.allclose(biases, expected[5] if bias else torch.zeros(3, dtype=torch.float64), atol=1e-5)
    left = (root * (targets.double() - design @ expected)).square().sum() / weights.sum()
    assert equations.mean_square_left(coefficients, biases) == pytest.approx(float(left), abs=1e-5)


def equations_of(units: torch.Tensor, targets: torch.Tensor) -> NormalEquations:
    equations = NormalEquations(units.shape[1], targets.shape[1], torch.device("cpu"))
    equations.update(units, targets)
    return equations


def test_what_is_left_is_told_of_rows_that_were_not_fitted_to():
    """Noise has nothing to explain: a fit to as many rows as units takes most of its own away, and none of others'."""
    generator = torch.Generator().manual_seed(0)
    units, noise = torch.randn(120, 40, generator=generator), torch.randn(120, 2, generator=generator)
    consumer = torch.nn.Linear(40, 2)
    consumer.requires_grad_(False)
    fitted, held_out = (equations_of(units[rows], noise[rows]) for rows in (slice(60), slice(60, 120)))
    before, after = refit(consumer, fitted, held_out)
    assert before == pytest.approx(float(noise[60:].square().sum(1).mean()), rel=1e-5) and after > before
    every = fitted + held_out
    assert every.mean_square_left(*every.solve()) < 0.8 * every.mean_square
    before, after = refit(consumer, fitted, NormalEquations(40, 2, torch.device("cpu")))
    assert after < 0.8 * before  # of its own rows, where there are no others
