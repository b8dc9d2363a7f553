"""Whether neurons of an encoder can be measured, cut and refitted: checked before a training, not in its middle."""

from __future__ import annotations

import torch
from torch import nn

from ...choices import Scope
from ...groups import find_groups
from ...models.uneven_widths import check_can_be_uneven
from ...scoring.inference import inner_model


def check_encoder(model: nn.Module, scope: Scope = "layer") -> None:
    """
    Args:
        model (`nn.Module`): A classifier.
        scope (`str`, *optional*, defaults to `"layer"`): `"global"` if its layers may get different widths.

    Raises:
        `ValueError`: for an architecture that is not in the table, an adapter around the model, weights that are no
            plain float matrices (quantised or parametrised), or half precision that neurons cannot be refitted in.
    """
    if hasattr(model, "peft_config") or hasattr(inner_model(model), "peft_config"):
        raise ValueError(
            "The model has a PEFT adapter, whose matrices have the width of the layers: merge it into the weights "
            "first, model = model.merge_and_unload(), then prune."
        )
    config = getattr(model, "config", None)
    if getattr(config, "quantization_config", None) is not None or getattr(model, "is_quantized", False):
        raise ValueError(
            "The model is quantised, so that its neurons are no rows of plain weights: prune the model that it was "
            "made from, and quantise the result."
        )
    groups = find_groups(inner_model(model), "encoder")
    check_widths(inner_model(model), scope)
    for group in groups.values():
        for name in [*(rows.module for rows in group.producers), group.consumer]:
            linear = inner_model(model).get_submodule(name)
            weight = linear._parameters.get("weight")
            if type(linear) is not nn.Linear or weight is None or not weight.is_floating_point():
                raise ValueError(
                    f"{name} is a {type(linear).__module__}.{type(linear).__name__} without a plain weight matrix "
                    "(quantised, parametrised or under an adapter), so its neurons cannot be removed."
                )
            if weight.dtype == torch.float16:
                raise ValueError(
                    f"{name} has float16 weights, in which neither a refit nor an optimizer is stable: load the model "
                    "with dtype=torch.float32."
                )


def check_widths(model, scope: Scope) -> None:
    """
    Raises:
        `ValueError`: if what `scope` makes of the widths of layers cannot be, or cannot be saved.
    """
    if scope == "global":
        check_can_be_uneven(model)
        return
    widths = {group.num_units for group in find_groups(model, "encoder").values()}
    if len(widths) > 1:
        raise ValueError(
            f"The layers of {type(model).__name__} have different widths already, {min(widths):,} to "
            f"{max(widths):,} neurons, so that no fraction of each makes a model of transformers' own class: give "
            "scope='global', or prune the model that it was made from."
        )
