"""Dropout's variants that need nothing but the neurons: Gaussian, Alpha, spatial, and several masks at once."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from .base import Regularizer, regularizer


@regularizer("gaussian")
class GaussianDropout(Regularizer):
    """
    y = x e with e ~ N(1, p / (1 - p)), the mean and variance of dropout's factor at the same rate p (Srivastava et
    al., 2014, section 10).
    """

    def noise(self, neurons: torch.Tensor) -> torch.Tensor:
        return neurons * (1 + torch.randn_like(neurons) * (self.rate / (1 - self.rate)) ** 0.5)


@regularizer("alpha")
class AlphaDropout(Regularizer):
    """
    Sets a neuron to SELU's negative limit a' = -1.758 with probability p, then scales and shifts so that a mean of 0
    and a variance of 1 stay as they are (Klambauer et al., 2017): torch's own. Made for SELU; with
    other activation functions mean and variance are not 0 and 1 to begin with.
    """

    default_rate = 0.1

    def noise(self, neurons: torch.Tensor) -> torch.Tensor:
        return functional.alpha_dropout(neurons, self.rate, training=True)


@regularizer("spatial_1d")
class SpatialDropout1D(Regularizer):
    """
    Sets a channel to 0 with probability p in all tokens of a text at once, and scales the others by 1 / (1 - p)
    (Tompson et al., 2015, in one dimension as Keras has it). It acts on the encoder's output before that is pooled;
    where tokens are only selected or averaged after that, this equals dropout of the pooled vector.
    """

    on_tokens = True

    def noise(self, neurons: torch.Tensor) -> torch.Tensor:
        """`[rows, channels]` or `[rows, tokens, channels]`."""
        channels = neurons if neurons.ndim < 3 else neurons[:, :1]
        return neurons * functional.dropout(torch.ones_like(channels), self.rate, training=True)


@regularizer("multi_sample")
class MultiSampleDropout(Regularizer):
    """
    Dropout with M masks at once, all through the same layers; the loss is the mean of the M losses (Inoue, 2019). The
    first hidden layer is computed once.
    """

    def __init__(self, in_features: int, out_features: int, rate: float, weight: float = 0.0, samples: int = 8):
        super().__init__(in_features, out_features, rate, weight, samples)
        self.samples = samples

    def noise(self, neurons: torch.Tensor) -> torch.Tensor:
        return functional.dropout(neurons, self.rate, training=True)

    def extra_repr(self) -> str:
        return f"rate={self.rate}, samples={self.samples}"


@regularizer("drop_connect")
class DropConnect(Regularizer):
    """
    Sets each weight and bias of the linear map that reads the layer to 0 with probability p, with another mask for
    each row, and scales the others by 1 / (1 - p) (Wan et al., 2013). In eval mode the weights are whole, their mean;
    the original draws from a Gaussian there.
    """

    def read(self, consumer: nn.Linear, neurons: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return consumer(neurons)
        outputs = (consumer.weight * self._mask(neurons, *consumer.weight.shape)) @ neurons[..., None]
        return outputs[..., 0] + consumer.bias * self._mask(neurons, *consumer.bias.shape)

    def _mask(self, neurons: torch.Tensor, *shape: int) -> torch.Tensor:
        """Of each row. Drawn in place: it has as many numbers as all rows' weights."""
        kept = 1 - self.rate
        return neurons.new_empty((*neurons.shape[:-1], *shape)).bernoulli_(kept).div_(kept)
