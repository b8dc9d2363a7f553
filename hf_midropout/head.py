"""Reading a masked head layer by layer: its activations, and the weights between its layers."""

from __future__ import annotations

import torch
from torch import nn


def layer_inputs(head: nn.Module, hidden_states: torch.Tensor, first: int = 0) -> list[torch.Tensor]:
    """
    What the layers of `head` from number `first` on take in, and what the output layer takes in, without dropout:
    `hidden_states` itself, then the masked output of each layer.
    """
    received = [hidden_states.to(head.out_proj.weight.dtype)]  # under autocast the encoder gives half precision
    for layer in head.layers[first:]:
        received.append(layer(received[-1]))
    return received


def next_linears(head: nn.Module) -> list[nn.Linear]:
    """For each layer of neurons the linear map that reads them."""
    return [*(layer.dense for layer in head.layers[1:]), head.out_proj]


def outgoing_weights(head: nn.Module) -> list[torch.Tensor]:
    """`[next width, K]` for each layer of K neurons."""
    return [linear.weight for linear in next_linears(head)]
