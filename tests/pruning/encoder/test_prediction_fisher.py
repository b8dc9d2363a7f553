import pytest
import torch

from hf_midropout.pruning.encoder.prediction_fisher import drawn_directions, fisher_factor


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_factor_of_the_fisher_information_is_exact(classes):
    logits = 3 * torch.randn(50, classes, generator=torch.Generator().manual_seed(classes))
    logits[0] = torch.tensor([200.0] + [0.0] * (classes - 1))  # sure of it
    logits[1] = torch.tensor([0.0] * (classes - 1) + [200.0])
    p = logits.double().softmax(-1)
    expected = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    factor = fisher_factor(logits.double())
    assert factor.shape == (classes - 1, 50, classes) and factor.isfinite().all()
    assert torch.allclose(torch.einsum("jnc,jnd->ncd", factor, factor), expected, atol=1e-12)


def test_of_many_classes_it_is_right_on_average():
    logits = torch.randn(1, 12, generator=torch.Generator().manual_seed(0)).repeat(4000, 1)
    drawn = drawn_directions(logits, 8, torch.Generator().manual_seed(0))
    p = logits[0].softmax(-1)
    expected = torch.diag(p) - torch.outer(p, p)
    assert torch.allclose(torch.einsum("jnc,jnd->cd", drawn, drawn) / 4000, expected, atol=0.01)
