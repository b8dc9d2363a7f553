"""Whether neurons of a head can be dropped, rewritten and removed: checked before a training, not in its middle."""

from __future__ import annotations

from torch import nn

from ...groups import find_groups
from ...scoring.inference import inner_model


def check_head(model: nn.Module) -> None:
    """
    Args:
        model (`nn.Module`): With masked layers, or a PEFT model around one.

    Raises:
        `ValueError`: if a weight of the head is no plain float matrix with a row for each neuron: under an adapter,
            quantised or parametrised.
    """
    model = inner_model(model)  # groups have the names that modules have within an adapter's wrapper
    groups = find_groups(model, "head").values()
    names = [rows.module for group in groups for rows in group.producers] + [group.consumer for group in groups]
    for name in dict.fromkeys(names):
        linear = model.get_submodule(name)
        if type(linear).__module__.split(".")[0] == "peft":
            raise ValueError(
                f"{name} has a PEFT adapter, so that its neurons are not the rows of one weight. Leave the head out "
                "of `target_modules` (['query', 'value'], say, instead of 'all-linear') and train it whole: "
                "modules_to_save=['classifier']."
            )
        weight = linear._parameters.get("weight")
        shape = (getattr(linear, "out_features", None), getattr(linear, "in_features", None))
        if weight is None or tuple(weight.shape) != shape or not weight.is_floating_point():
            raise ValueError(
                f"{name} is a {type(linear).__name__} without a plain weight matrix (quantised or parametrised), so "
                "its neurons cannot be dropped. Train and compact the model first, and quantise the result."
            )
