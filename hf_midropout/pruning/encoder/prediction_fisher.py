"""The Fisher information of a prediction, as directions in which to take gradients."""

from __future__ import annotations

import torch
from torch import nn


def fisher_factor(logits: torch.Tensor) -> torch.Tensor:
    """
    `[C - 1, N, C]`: the outer products of each row's vectors add up to its prediction's Fisher information about the
    logits `[N, C]`, diag(p) - p p^T. One vector less than there are classes, and so one backward pass (the Cholesky
    factor of a multinomial's covariance: Tanabe and Sagae, 1992).
    """
    p = logits.double().softmax(-1)
    # The share of a class and those after it.
    rest = p.flip(-1).cumsum(-1).flip(-1).clamp(min=torch.finfo(p.dtype).tiny)
    vectors = []
    for label in range(p.shape[1] - 1):
        vector = torch.zeros_like(p)
        vector[:, label] = 1
        vector[:, label + 1 :] = -p[:, label + 1 :] / rest[:, label + 1, None]
        vectors.append(vector * (p[:, label] * rest[:, label + 1] / rest[:, label]).sqrt()[:, None])
    return torch.stack(vectors).to(logits.dtype)


def drawn_directions(logits: torch.Tensor, number: int, generator: torch.Generator) -> torch.Tensor:
    """As [`fisher_factor`] on average: `[number, N, C]` gradients of log p(y) for labels drawn from the prediction."""
    p = logits.softmax(-1)
    drawn = torch.multinomial(p.cpu(), number, replacement=True, generator=generator).to(p.device)
    chosen = nn.functional.one_hot(drawn.t(), p.shape[1]).to(p)
    return (chosen - p) / number**0.5
