import pytest
import torch

from hf_midropout.pruning.encoder.normal_equations import NormalEquations


@pytest.mark.parametrize("bias", [True, False])
def test_normal_equations_solve_weighted_least_squares(bias):
    generator = torch.Generator().manual_seed(0)
    units, targets = torch.randn(200, 5, generator=generator), torch.randn(200, 3, generator=generator)
    units, weights = units + 1, torch.rand(200, generator=generator)
    equations = NormalEquations(5, 3, torch.device("cpu"))
    for part in range(0, 200, 32):
        equations.update(units[part : part + 32], targets[part : part + 32], weights[part : part + 32])
    coefficients, biases, left = equations.solve(bias, ridge=0.0)
    root = weights.double().sqrt()[:, None]
    design = torch.cat([units.double(), torch.ones(200, 1)], 1) if bias else units.double()
    expected = torch.linalg.lstsq(root * design, root * targets.double()).solution
    assert torch.allclose(coefficients, expected[:5], atol=1e-5)
    assert torch.allclose(biases, expected[5] if bias else torch.zeros(3, dtype=torch.float64), atol=1e-5)
    rest = (root * (targets.double() - design @ expected)).square().sum() / (root * targets.double()).square().sum()
    assert left == pytest.approx(float(rest), abs=1e-5)
