"""What a regularizer of a head's hidden layer is, and the registry of them by name."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import nn


REGULARIZERS: dict[str, type[Regularizer]] = {}
"""By the name in a configuration. `none` and `dropout` are not here: the head does them itself."""

ASSUMED_ROWS = 10_000
"""Training rows where nobody says how many there are."""


class Regularizer(nn.Module):
    """
    Acts on the neurons of one hidden layer of a head, in training only. Most override [`noise`] alone.

    It works under `torch.func.vmap` over stacked parameters and buffers: no branch depends on values, and buffers are
    not written in a forward pass. What it does to dropped neurons does not matter: the head sets them to 0 afterwards.

    Args:
        in_features (`int`): Inputs of the layer.
        out_features (`int`): Its neurons, K.
        rate (`float`): What `head_dropout` says, or `default_rate`.
        weight (`float`): Of what it adds to the loss; `head_regularizer_weight`, or [`default_weight`].
        samples (`int`): `head_samples`, for those that draw several masks.
    """

    default_rate: ClassVar[float] = 0.5
    rate_below: ClassVar[float] = 1.0
    """`rate` must be at least 0 and less than this."""
    rate_positive: ClassVar[bool] = False
    """Whether it must be above 0."""
    strength: ClassVar[float | None] = None
    """The default weight of what it adds to the loss, times the number of training rows; `None` if it adds nothing."""
    on_tokens: ClassVar[bool] = False
    """Whether it acts on the encoder's output before it is pooled, in place of hidden layers."""
    shapes: ClassVar[dict[str, tuple[int | None, int | None]]] = {}
    """Its parameters and buffers with a dimension for the neurons, or one for the layer's inputs: which, or `None`."""

    def __init__(self, in_features: int, out_features: int, rate: float, weight: float = 0.0, samples: int = 1):
        super().__init__()
        self.rate, self.weight = rate, weight
        self.samples = 1
        """Masks through one head: the mean of the losses is the loss."""

    def forward(
        self, neurons: torch.Tensor, inputs: torch.Tensor, mask: torch.Tensor, consumer: nn.Linear
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """
        Args:
            neurons (`torch.Tensor` of shape `[..., rows, K]`): After the activation function, 0 where dropped.
            inputs (`torch.Tensor` of shape `[..., rows, in_features]`): Of the layer.
            mask (`torch.Tensor` of shape `[K]`): bool, the neurons that are kept.
            consumer (`nn.Linear`): The linear map that reads the neurons.

        Returns:
            `tuple`: the neurons as the consumer is to read them, and a scalar in nats to add to the loss, or `None`.
            In eval mode, `neurons` and `None`.
        """
        return self.regularize(neurons, inputs, mask, consumer) if self.training else (neurons, None)

    def regularize(
        self, neurons: torch.Tensor, inputs: torch.Tensor, mask: torch.Tensor, consumer: nn.Linear
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """[`forward`] in training."""
        return self.noise(neurons), None

    def noise(self, neurons: torch.Tensor) -> torch.Tensor:
        """`[..., K]` neurons with noise in them."""
        return neurons

    def read(self, consumer: nn.Linear, neurons: torch.Tensor) -> torch.Tensor:
        """What `consumer` makes of the neurons, `[..., its outputs]`."""
        return consumer(neurons)

    def reset(self, init) -> None:
        """Sets own parameters and buffers to where training begins, with the functions of `init`."""

    @property
    def changes_loss(self) -> bool:
        """Whether the loss is another than that of the logits."""
        return self.strength is not None or self.samples > 1

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


def regularizer(name: str) -> Callable[[type[Regularizer]], type[Regularizer]]:
    """Registers a subclass of [`Regularizer`] under `name`."""

    def register(kind: type[Regularizer]) -> type[Regularizer]:
        REGULARIZERS[name] = kind
        return kind

    return register


def regularizer_names() -> list[str]:
    """All that `head_regularizer` can be."""
    return ["none", "dropout", *sorted(REGULARIZERS)]


def check_regularizer(name: str, rate: float | None, weight: float | None) -> None:
    """
    Args:
        name (`str`): `head_regularizer`.
        rate (`float`, *optional*): `head_dropout`.
        weight (`float`, *optional*): `head_regularizer_weight`.

    Raises:
        `ValueError`: for a name that there is not, a rate out of its range, or a weight of a loss that there is not.
    """
    if name not in regularizer_names():
        raise ValueError(f"head_regularizer={name!r}: must be one of {', '.join(regularizer_names())}.")
    kind = REGULARIZERS.get(name, Regularizer)
    if name == "none" and rate:
        raise ValueError(f"head_dropout={rate} with head_regularizer='none': leave it out, or take 'dropout'.")
    if rate is not None and not 0 <= rate < kind.rate_below:
        raise ValueError(
            f"head_dropout={rate}: must be at least 0 and less than {kind.rate_below:g} with "
            f"head_regularizer={name!r}."
        )
    if rate == 0 and kind.rate_positive:
        raise ValueError(f"head_dropout={rate}: must be above 0 with head_regularizer={name!r}, which learns from it.")
    if weight is not None and kind.strength is None:
        adding = [each for each, other in sorted(REGULARIZERS.items()) if other.strength is not None]
        raise ValueError(
            f"head_regularizer_weight={weight} with head_regularizer={name!r}: leave it out; only "
            f"{' and '.join(adding)} add to the loss."
        )
    if weight is not None and not 0 <= weight < float("inf"):
        raise ValueError(f"head_regularizer_weight={weight}: must be a number of at least 0.")


def default_weight(name: str, rows: int = ASSUMED_ROWS) -> float | None:
    """Of what the regularizer `name` adds to the loss with `rows` training rows; `None` if it adds nothing."""
    strength = REGULARIZERS[name].strength if name in REGULARIZERS else None
    return None if strength is None else strength / rows


def make_regularizers(config: Any) -> list[Regularizer]:
    """
    Those that the configuration of a model with a MI-Dropout head asks for: one for each hidden layer of the head, or
    a single one with `on_tokens`. For `none` and `dropout` there are none.

    Raises:
        `ValueError`: as [`check_regularizer`].
    """
    name, rate, weight = config.head_regularizer, config.head_dropout, config.head_regularizer_weight
    check_regularizer(name, rate, weight)
    if name not in REGULARIZERS:
        return []
    kind = REGULARIZERS[name]
    rate = kind.default_rate if rate is None else rate
    weight = (default_weight(name) or 0.0) if weight is None else weight
    sizes = list(pairwise([config.hidden_size, *config.head_widths]))
    if kind.on_tokens:
        sizes = [(config.hidden_size, config.hidden_size)]
    return [kind(inputs, neurons, rate, weight, config.head_samples) for inputs, neurons in sizes]
