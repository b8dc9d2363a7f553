"""The head of a model on its own: small enough to be run as often as needed, once the encoder has run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ...groups import Groups, capture_units, find_groups
from ...scoring.inference import frozen_inference


if TYPE_CHECKING:
    from ...models.modeling_midropout import MaskedDense, MIDropoutHead


class HeadNetwork(nn.Module):
    """
    The head of a model under the module names that it has there, so that the same groups fit both.

    Args:
        head (`MIDropoutHead`): With `layers` and `out_proj`; shared, not copied.
    """

    def __init__(self, head: MIDropoutHead):
        super().__init__()
        self.classifier = head

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Vectors of texts `[N, hidden_size]` -> logits `[N, classes]`."""
        # Under autocast the encoder gives half precision.
        return self.classifier(hidden_states.to(self.classifier.out_proj.weight.dtype))

    def masked_layers(self) -> dict[str, MaskedDense]:
        """As [`MIDropoutClassifierMixin.masked_layers`]."""
        return {f"classifier.layers.{index}": layer for index, layer in enumerate(self.classifier.hidden_layers())}

    @property
    def groups(self) -> Groups:
        """The hidden layers."""
        return find_groups(self, "head")

    def units(self, hidden_states: torch.Tensor) -> dict[str, torch.Tensor]:
        """`[N, K]` masked activations of each hidden layer, in eval mode and without gradients."""
        with frozen_inference(self), capture_units(self, self.groups) as captured:
            self(hidden_states)
        return {name: values[0] for name, values in captured.items()}
