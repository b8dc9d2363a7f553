"""Which groups a model has: one row for each architecture."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from ..choices import TARGETS
from ..model_types import HEAD_ARCHITECTURES, stock_type
from .group import Groups, PrunableGroup, Rows, linear_of


@dataclass(frozen=True)
class FeedForward:
    """
    Where the feed-forward layers of an architecture are.

    Args:
        layers (`str`): Pattern of the layers' names within the base model, with `*`.
        producer, consumer (`str`): Names, within a layer, of the linear maps into and out of the neurons.
        width (`str`, *optional*, defaults to `"intermediate_size"`): Field of the config with the number of neurons.
        gated (`bool`, *optional*, defaults to `False`): Whether the producer has a second block of rows, the gates.
        residual (`str`, *optional*): Name, within a layer, of the module whose input the consumer's output is added
            to; the producer by default, as where layer norms come last.
        norm (`str`, *optional*, defaults to `"output.LayerNorm"`): Name, within a layer, of the layer norm that ends
            it; `None` where layer norms come first.
    """

    layers: str
    producer: str
    consumer: str
    width: str = "intermediate_size"
    gated: bool = False
    residual: str | None = None
    norm: str | None = "output.LayerNorm"


BERT = FeedForward("encoder.layer.*", "intermediate.dense", "output.dense")
ALBERT = FeedForward(
    "encoder.albert_layer_groups.*.albert_layers.*", "ffn", "ffn_output", norm="full_layer_layer_norm"
)

ARCHITECTURES = {
    "albert": ALBERT,
    "bert": BERT,
    "deberta": BERT,
    "deberta-v2": BERT,
    "distilbert": FeedForward(
        "transformer.layer.*", "ffn.lin1", "ffn.lin2", width="hidden_dim", norm="output_layer_norm"
    ),
    "electra": BERT,
    "modernbert": FeedForward("layers.*", "mlp.Wi", "mlp.Wo", gated=True, residual="mlp_norm", norm=None),
    "mpnet": BERT,
    "roberta": BERT,
    "xlm-roberta": BERT,
}
"""By the `config.model_type` of stock models. A new architecture is a new row."""


def find_groups(model: nn.Module, targets: str = "head") -> Groups:
    """
    The groups of `model`, from its input to its output.

    Args:
        model (`PreTrainedModel`): A sequence classifier, or a base model.
        targets (`str`, *optional*, defaults to `"head"`): `"encoder"` for its feed-forward neurons, `"head"` for the
            hidden layers of a MI-Dropout head, or `"all"`.

    Raises:
        `ValueError`: for an architecture that is not in the table, or a model without such a head.
    """
    if targets not in TARGETS:
        raise ValueError(f"targets={targets!r}: must be one of {', '.join(map(repr, TARGETS))}.")
    groups: Groups = {}
    if targets in ("encoder", "all"):
        groups |= encoder_groups(model)
    if targets in ("head", "all"):
        groups |= head_groups(model)
    return groups


def head_groups(model: nn.Module) -> Groups:
    """The hidden layers of a MI-Dropout head."""
    head, masked_layers = getattr(model, "classifier", None), getattr(model, "masked_layers", None)
    if masked_layers is None or not hasattr(head, "out_proj"):
        stock = stock_type(getattr(getattr(model, "config", None), "model_type", None))
        classes = "/".join(row.classes for kind, row in HEAD_ARCHITECTURES.items() if stock in (kind, None))
        raise ValueError(
            f"{type(model).__name__} has no masked layers: load it as MIDropout{classes}ForSequenceClassification, or "
            "give targets='encoder' for the feed-forward neurons of its encoder."
        )
    layers = dict(masked_layers())
    names = list(layers)
    consumers = [*(f"{name}.dense" for name in names[1:]), "classifier.out_proj"]
    return {
        name: PrunableGroup(name, (Rows(f"{name}.dense"),), consumer, layers[name].mask.numel(), masked_by=name)
        for name, consumer in zip(names, consumers, strict=True)
    }


def architecture_of(model: nn.Module) -> FeedForward:
    """The row of `model` in the table; `ValueError` if it has none."""
    kind = getattr(getattr(model, "config", None), "model_type", None)
    row = ARCHITECTURES.get(stock_type(kind) or str(kind))
    if row is None:
        raise ValueError(
            f"model_type={kind!r} has no row in hf_midropout/groups/architectures.py, which lists "
            f"{', '.join(ARCHITECTURES)}."
        )
    return row


def encoder_groups(model: nn.Module) -> Groups:
    """The feed-forward neurons of the encoder of `model`, by layer."""
    row = architecture_of(model)
    config: Any = model.config
    if getattr(config, "chunk_size_feed_forward", 0):
        raise ValueError(
            f"chunk_size_feed_forward={config.chunk_size_feed_forward}: the feed-forward layers see the tokens of a "
            "text in parts, of which neurons cannot be measured; set it to 0, the result of the model is the same."
        )
    base = getattr(model, "base_model", model)
    prefix = next((f"{name}." for name, module in model.named_modules() if module is base and name), "")
    layers = [name for name, _ in base.named_modules() if _matches(name, row.layers)]
    if not layers:
        raise ValueError(
            f"{type(model).__name__} has no modules {row.layers!r}, where {config.model_type!r} keeps its layers."
        )
    calls = _applications(config, len(layers))
    groups: Groups = {}
    for index, layer in enumerate(layers):
        name = f"encoder.layer.{index}.ffn"
        producer, consumer = f"{prefix}{layer}.{row.producer}", f"{prefix}{layer}.{row.consumer}"
        units = linear_of(model, consumer).in_features
        producers = (Rows(producer), Rows(producer, units)) if row.gated else (Rows(producer),)
        groups[name] = PrunableGroup(
            name,
            producers,
            consumer,
            units,
            num_calls=calls[index],
            config_width=row.width,
            layer=f"{prefix}{layer}",
            residual=f"{prefix}{layer}.{row.residual or row.producer}",
        )
    return groups


def _matches(name: str, pattern: str) -> bool:
    """Whether `name` matches, where a `*` stands for a number, not for more levels of names."""
    return name.count(".") == pattern.count(".") and fnmatchcase(name, pattern)


def _applications(config, num_layers: int) -> list[int]:
    """How often each layer is applied in a forward pass: more than once where ALBERT shares layers."""
    if not hasattr(config, "num_hidden_groups"):
        return [1] * num_layers
    per_group, calls = config.num_hidden_layers / config.num_hidden_groups, [0] * config.num_hidden_groups
    for layer in range(config.num_hidden_layers):
        calls[int(layer / per_group)] += 1
    return [count for count in calls for _ in range(config.inner_group_num)]
