"""Makes a classifier of transformers one of `modeling_uneven_widths.py`, whose layers may have different widths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..model_types import HEAD_ARCHITECTURES, is_uneven, stock_type


if TYPE_CHECKING:
    from transformers import PreTrainedModel


def check_can_be_uneven(model: PreTrainedModel) -> None:
    """
    Raises:
        `ValueError`: for a model whose layers cannot have different widths, or that no class of this package can save
            then.
    """
    config = model.config
    if is_uneven(config.model_type):
        return
    stock = stock_type(config.model_type)
    row = HEAD_ARCHITECTURES.get(stock or "")
    name = f"{row.classes}ForSequenceClassification" if row else None
    if type(model).__name__ != name or not type(model).__module__.startswith("transformers.models."):
        allowed = ", ".join(f"{each.classes}ForSequenceClassification" for each in HEAD_ARCHITECTURES.values())
        raise ValueError(
            f"Layers of different widths are saved by this package's own classes, which there are for {allowed} of "
            f"transformers, and not for {type(model).__name__}: give scope='layer'."
        )
    if getattr(config, "inner_group_num", 1) != 1:
        raise ValueError(
            f"inner_group_num={config.inner_group_num}: an ALBERT with several inner layers in a group cannot have "
            "layers of different widths; give scope='layer'."
        )
    if getattr(config, "num_hidden_groups", None) == 1:
        raise ValueError(
            "num_hidden_groups=1: all layers of this ALBERT share one width, as they do their weights; give "
            "scope='layer'."
        )


def write_widths(model: PreTrainedModel, field: str, widths: Sequence[int]) -> None:
    """
    Writes the widths that the feed-forward layers of `model` have into its config, in transformers' own schema,
    `per_layer_config`, and gives it, in place, the class that saves and loads such layers.

    Args:
        model ([`~transformers.PreTrainedModel`]): One that [`check_can_be_uneven`] lets pass.
        field (`str`): The field of the config that has the width.
        widths (`Sequence[int]`): Of each module of layers, in their order.
    """
    from . import modeling_uneven_widths as modeling

    config: Any = model.config
    if not is_uneven(config.model_type):
        check_can_be_uneven(model)
        # As `torch.distributed.fsdp.fully_shard` does: whoever holds the model goes on with it.
        model.__class__ = getattr(modeling, f"Uneven{type(model).__name__}")
        config.__class__ = type(model).config_class
    config.per_layer_config = None
    # Checks add up what a config asks for as if all layers had this one.
    setattr(config, field, min(widths))
    wider = {
        layer: {field: widths[module]} for layer, module in enumerate(config.module_of) if widths[module] > min(widths)
    }
    config.per_layer_config = wider or None
