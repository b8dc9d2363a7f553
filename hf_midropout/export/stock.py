"""A checkpoint that transformers' own ALBERT loads, where the head computes what one linear layer can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AlbertConfig, AlbertForSequenceClassification

from ..scoring.inference import frozen_inference
from .onnx import CHECKED_SHAPES, random_inputs


if TYPE_CHECKING:
    from transformers import PreTrainedModel


class NotExpressible(ValueError):
    """The head computes something that one linear layer cannot."""


@torch.no_grad()
def linear_equivalent(model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The weight `[classes, hidden_size]` and bias `[classes]` of the one linear layer that computes what the head of
    `model` computes, for whatever the encoder gives.

    That is so if every kept neuron is linear: its activation function is; or it is a ReLU whose input cannot change
    sign, or it is constant. The pooled output is a tanh, so it lies in [-1, 1], which bounds each neuron's input.

    Args:
        model ([`MIDropoutAlbertForSequenceClassification`]): Masked or compact.

    Raises:
        [`NotExpressible`]: naming the first layer that stands against it, and how many of its neurons.
    """
    head = model.classifier
    hidden = model.config.hidden_size
    # The values so far as affine functions of the pooled output: a row of coefficients and a constant for each.
    weight, bias = torch.eye(hidden, dtype=torch.float64), torch.zeros(hidden, dtype=torch.float64)
    for index, layer in enumerate(head.layers, 1):
        outgoing = layer.dense.weight.detach().cpu().double()
        weight, bias = outgoing @ weight, outgoing @ bias + layer.dense.bias.detach().cpu().double()
        reach = weight.abs().sum(1)
        constant = reach == 0
        name = model.config.head_activation
        if name == "linear":
            linear = torch.ones_like(constant)
        elif name == "relu":
            on, off = bias - reach >= 0, bias + reach <= 0
            weight[off], bias[off] = 0.0, 0.0
            linear = on | off
        else:
            linear = torch.zeros_like(constant)
        bias = torch.where(constant & ~linear, layer.activation(bias.float()).double(), bias)
        mask = layer.mask.cpu()
        weight[~mask], bias[~mask] = 0.0, 0.0
        bent = int((mask & ~linear & ~constant).sum())
        if bent:
            raise NotExpressible(
                f"Stock ALBERT has one linear layer after the pooled output, and this head is not linear: {bent} of "
                f"{int(mask.sum())} neurons of layer {index} bend ({name}). A head trained with --head_activation "
                "linear can be exported, and one whose ReLU neurons never change sign."
            )
    last = head.out_proj.weight.detach().cpu().double()
    return last @ weight, last @ bias + head.out_proj.bias.detach().cpu().double()


def to_stock(model: PreTrainedModel, atol: float = 1e-4) -> tuple[AlbertForSequenceClassification, float]:
    """
    The same function as a [`~transformers.AlbertForSequenceClassification`].

    Args:
        model ([`MIDropoutAlbertForSequenceClassification`]): Masked or compact.
        atol (`float`, *optional*, defaults to 1e-4): Largest absolute difference of a logit, of rounding alone.

    Returns:
        `tuple`: the stock model, and the largest difference found on random inputs.

    Raises:
        [`NotExpressible`]: if the head is not linear, or rounding makes more than `atol`.
    """
    weight, bias = linear_equivalent(model)
    own = {"model_type", "architectures", "auto_map"}
    own |= type(model.config).__dataclass_fields__.keys() - AlbertConfig.__dataclass_fields__.keys()
    values = {key: value for key, value in model.config.to_dict().items() if key not in own}
    with torch.random.fork_rng(devices=[]):  # the throw-away weights must not shift the caller's
        stock = AlbertForSequenceClassification(AlbertConfig(**values))
    state = {
        key: value.detach().cpu().float() for key, value in model.state_dict().items() if key.startswith("albert.")
    }
    stock.load_state_dict({**state, "classifier.weight": weight.float(), "classifier.bias": bias.float()})
    largest = 0.0
    for seed, shape in enumerate(CHECKED_SHAPES):
        inputs = random_inputs(model, *shape, seed=seed)
        with frozen_inference(model), frozen_inference(stock):
            largest = max(largest, float((model(**inputs).logits - stock(**inputs).logits).abs().max()))
    if not largest <= atol:
        raise NotExpressible(f"As one linear layer the logits differ by {largest:.1e}: {atol:.0e} is allowed.")
    return stock.eval(), largest
