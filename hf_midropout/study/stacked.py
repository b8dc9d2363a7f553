"""Heads of the same shape as one: their weights side by side, so that many seeds cost little more than one."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from ..models.modeling_midropout import MIDropoutHead


class StackedHeads:
    """
    Args:
        heads (`Sequence[MIDropoutHead]`): Of one shape. Their weights are copied.
    """

    def __init__(self, heads: Sequence[MIDropoutHead]):
        self.template = copy.deepcopy(heads[0])
        self.parameters, self.buffers = stack_module_state(list(heads))

    def __len__(self) -> int:
        return len(next(iter(self.parameters.values())))

    def map(self, function: Callable[..., torch.Tensor], *inputs: torch.Tensor, shared: bool = False):
        """
        `function(head, *inputs of this head)` of every head, as one tensor or tuple of tensors `[S, ...]`.

        Args:
            function (`Callable`): Of a module that has one head's weights.
            inputs (`torch.Tensor` of shape `[S, ...]`): Of each head.
            shared (`bool`): Whether inputs are the same for all heads, `[...]`.
        """

        def one(parameters, buffers, *inputs):
            return functional_call(_Call(self.template, function), _prefixed(parameters, buffers), inputs)

        place = None if shared else 0
        mapped = vmap(one, in_dims=(0, 0, *[place] * len(inputs)), randomness="different")
        return mapped(self.parameters, self.buffers, *inputs)

    @torch.no_grad()
    def head(self, number: int) -> MIDropoutHead:
        """A copy of one of them."""
        head = copy.deepcopy(self.template)
        state = {name: tensor[number].clone() for name, tensor in (self.parameters | self.buffers).items()}
        head.load_state_dict(state)
        return head.train(self.template.training)

    @torch.no_grad()
    def put(self, number: int, head: MIDropoutHead) -> None:
        """Writes the weights and masks of `head` in place of one of them."""
        for name, tensor in head.state_dict().items():
            (self.parameters | self.buffers)[name][number].copy_(tensor)

    @contextmanager
    def inference(self) -> Iterator[None]:
        """In eval mode and without gradients."""
        mode = self.template.training
        self.template.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.template.train(mode)


class _Call(nn.Module):
    """So that any function of a head can be called with other weights."""

    def __init__(self, head: nn.Module, function: Callable[..., torch.Tensor]):
        super().__init__()
        self.head, self.function = head, function

    def forward(self, *inputs):
        return self.function(self.head, *inputs)


def _prefixed(*states: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"head.{name}": tensor for state in states for name, tensor in state.items()}
