"""A checkpoint of a pruned encoder fits into the dense model that a user resumes with: that one is cut on loading."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from ..groups import cut_groups, find_groups
from ..pruning.encoder.one_shot import set_width


if TYPE_CHECKING:
    from transformers import PreTrainedModel, Trainer


def fit_to_checkpoints(trainer: Trainer) -> None:
    """
    Lets the model of `trainer`, and those that its `model_init` makes, load the weights of a narrower encoder.

    The Trainer loads a checkpoint before its callbacks hear of the training, into a model that the user made anew: the
    model itself has to notice.
    """
    cut_on_loading(trainer.model)
    make = trainer.model_init
    if make is not None and not hasattr(make, "_cuts_on_loading"):

        @functools.wraps(make)
        def make_and_register(*args, **kwargs):
            model = make(*args, **kwargs)
            cut_on_loading(model)
            return model

        make_and_register._cuts_on_loading = True  # type: ignore[attr-defined]
        trainer.model_init = make_and_register


def cut_on_loading(model: PreTrainedModel) -> None:
    """Registers a hook for `load_state_dict`, once."""
    if not getattr(model, "_midropout_cuts_on_loading", False):
        model._midropout_cuts_on_loading = True
        model.register_load_state_dict_pre_hook(fit)


def fit(model: PreTrainedModel, state_dict: dict[str, Any], prefix: str, *_) -> None:
    """
    Cuts the encoder of `model` to the width of `state_dict`. Which neurons go does not matter: all their weights are
    about to be overwritten.

    Raises:
        `ValueError`: if the model is narrower than the checkpoint.
    """
    groups = find_groups(model, "encoder")
    kept = {}
    for name, group in groups.items():
        weight = state_dict.get(f"{prefix}{group.consumer}.weight")
        if weight is None or weight.shape[1] == group.width:
            continue
        if weight.shape[1] > group.width:
            raise ValueError(
                f"{name} of the model has {group.num_units:,} neurons, the checkpoint {weight.shape[1]:,}: the model "
                "was pruned already. Resume with a model as it was before training."
            )
        kept[name] = torch.arange(group.num_units) < weight.shape[1] // group.unit_size
    if kept:
        cut_groups(model, groups, kept)
        set_width(model, groups)
