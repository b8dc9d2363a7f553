"""A checkpoint that transformers' own class loads, where the head computes what one linear layer can."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import AutoConfig, AutoModelForSequenceClassification

from ..model_types import HEAD_ARCHITECTURES, stock_type
from ..scoring.inference import frozen_inference
from .onnx import CHECKED_SHAPES, random_inputs


if TYPE_CHECKING:
    from transformers import PreTrainedModel


POOLED = ("albert", "bert")
"""Whose stock classifiers are one linear layer after the pooled output, which is a tanh."""


class NotExpressible(ValueError):
    """The head computes something that the stock classifier cannot."""


@torch.no_grad()
def linear_equivalent(model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor]:
    """
    The weight `[classes, hidden_size]` and bias `[classes]` of the one linear layer that computes what the head of
    `model` computes, for whatever the encoder gives.

    That is so if every kept neuron is linear: its activation function is; or it is a ReLU whose input cannot change
    sign, or it is constant. The pooled output is a tanh, so it lies in [-1, 1], which bounds each neuron's input.

    Args:
        model ([`~transformers.PreTrainedModel`]): One with a MI-Dropout head, masked or compact.

    Raises:
        [`NotExpressible`]: naming the first layer that stands against it, and how many of its neurons.
    """
    head, stock_name = model.classifier, HEAD_ARCHITECTURES[str(stock_type(model.config.model_type))].name
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
                f"Stock {stock_name} has one linear layer after the pooled output, and this head is not linear: "
                f"{bent} of {int(mask.sum())} neurons of layer {index} bend ({name}). A head trained with "
                "--head_activation linear can be exported, and one whose ReLU neurons never change sign."
            )
    last = head.out_proj.weight.detach().cpu().double()
    return last @ weight, last @ bias + head.out_proj.bias.detach().cpu().double()


def to_stock(model: PreTrainedModel, atol: float = 1e-4) -> tuple[PreTrainedModel, float]:
    """
    The same function as a classifier of transformers' own class.

    Args:
        model ([`~transformers.PreTrainedModel`]): One with a MI-Dropout head, masked or compact.
        atol (`float`, *optional*, defaults to 1e-4): Largest absolute difference of a logit, of rounding alone.

    Returns:
        `tuple`: the stock model, and the largest difference found on random inputs.

    Raises:
        [`NotExpressible`]: if the head is not linear, the stock classifier is no linear layer after the same vector,
            or rounding makes more than `atol`.
    """
    stock_name = str(stock_type(model.config.model_type))
    if stock_name not in POOLED:
        raise NotExpressible(
            f"Stock {HEAD_ARCHITECTURES[stock_name].name} has other layers before its classifier than this head: only "
            f"{' and '.join(HEAD_ARCHITECTURES[each].name for each in POOLED)} can be exported so."
        )
    weight, bias = linear_equivalent(model)
    own = {"model_type", "architectures", "auto_map"}
    theirs = type(AutoConfig.for_model(stock_name)).__dataclass_fields__
    own |= type(model.config).__dataclass_fields__.keys() - theirs.keys()
    values = {key: value for key, value in model.config.to_dict().items() if key not in own}
    encoder = f"{HEAD_ARCHITECTURES[stock_name].encoder}."
    with torch.random.fork_rng(devices=[]):  # the throw-away weights must not shift the caller's
        stock = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(stock_name, **values))
    state = {key: value.detach().cpu().float() for key, value in model.state_dict().items() if key.startswith(encoder)}
    stock.load_state_dict({**state, "classifier.weight": weight.float(), "classifier.bias": bias.float()})
    largest = 0.0
    for seed, shape in enumerate(CHECKED_SHAPES):
        inputs = random_inputs(model, *shape, seed=seed)
        with frozen_inference(model), frozen_inference(stock):
            largest = max(largest, float((model(**inputs).logits - stock(**inputs).logits).abs().max()))
    if not largest <= atol:
        raise NotExpressible(f"As one linear layer the logits differ by {largest:.1e}: {atol:.0e} is allowed.")
    return stock.eval(), largest
