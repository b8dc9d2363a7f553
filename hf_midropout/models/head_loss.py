"""The loss of a head by itself, without an encoder: what many heads at once are trained with."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .modeling_midropout import MIDropoutHead


class HeadLoss(nn.Module):
    """
    The cross-entropy of a head in nats, in training with all that its `head_regularizer` makes of it. For
    `torch.func.functional_call`, under `vmap` with `randomness="different"`, over stacked parameters and buffers.

    Args:
        head ([`MIDropoutHead`]): Shared, not copied.
    """

    def __init__(self, head: MIDropoutHead):
        super().__init__()
        self.head = head

    def forward(self, hidden_states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """What the head reads `[rows, hidden_size]`, classes `[rows]` -> a scalar."""
        if not (self.training and len(self.head.regularizers) > 0):
            return functional.cross_entropy(self.head(hidden_states), labels)
        logits, penalty = self.head.regularized(hidden_states)
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.repeat(len(logits)))
        return loss if penalty is None else loss + penalty
