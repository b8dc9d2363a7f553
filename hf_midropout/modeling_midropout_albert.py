"""ALBERT for text classification with a masked dense head whose neurons can be dropped and physically removed.

This file and `configuration_midropout_albert.py` travel with every checkpoint (`trust_remote_code`), so they import
nothing else of the package.
"""

import copy
from itertools import pairwise

import torch
from torch import nn
from transformers import AlbertForSequenceClassification
from transformers import initialization as init
from transformers.activations import ACT2FN

from .configuration_midropout_albert import MIDropoutAlbertConfig


class MaskedDense(nn.Module):
    """
    One dense layer of neurons: a linear map, an activation function, and a mask of the neurons that are kept.

    A neuron is one output unit after the activation function; a dropped neuron's output is exactly 0. With
    `mi_dropout`, a neuron's output is in training set to 0 with its own probability `drop_rate`, and else scaled up to
    keep its mean.

    Args:
        in_features (`int`): Number of inputs.
        out_features (`int`): Number of neurons.
        activation (`str`): A key of `transformers.activations.ACT2FN`.
        mi_dropout (`bool`, *optional*, defaults to `False`): Whether `drop_rate` is in force.
    """

    def __init__(self, in_features: int, out_features: int, activation: str, mi_dropout: bool = False):
        super().__init__()
        self.dense = nn.Linear(in_features, out_features)
        self.activation = ACT2FN[activation]
        # bool, so that casting the model to another dtype leaves it alone; persistent, so that it resumes and reloads.
        self.register_buffer("mask", torch.ones(out_features, dtype=torch.bool))
        self.register_buffer("drop_rate", torch.zeros(out_features))
        self.mi_dropout = mi_dropout

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """`[..., in_features]` -> `[..., out_features]`."""
        outputs = self.activation(self.dense(hidden_states)).masked_fill(~self.mask, 0.0)
        if self.training and self.mi_dropout:
            keep = (1 - self.drop_rate).to(outputs.dtype)
            outputs = outputs * torch.bernoulli(keep.expand_as(outputs)) / keep
        return outputs


class MIDropoutHead(nn.Module):
    """Hidden layers of [`MaskedDense`] neurons, then the output layer, whose units are never dropped."""

    def __init__(self, config: MIDropoutAlbertConfig):
        super().__init__()
        widths = [config.hidden_size, *config.head_widths]
        self.layers = nn.ModuleList(
            MaskedDense(in_features, out_features, config.head_activation, config.mi_dropout)
            for in_features, out_features in pairwise(widths)
        )
        self.dropout = nn.Dropout(config.head_dropout)
        self.out_proj = nn.Linear(widths[-1], config.num_labels)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        """Pooled output `[batch, hidden_size]` -> logits `[batch, num_labels]`."""
        for layer in self.layers:
            hidden_states = self.dropout(layer(hidden_states))
        return self.out_proj(hidden_states)


class MIDropoutAlbertForSequenceClassification(AlbertForSequenceClassification):
    """
    [`~transformers.AlbertForSequenceClassification`] whose `classifier` is a [`MIDropoutHead`].

    Loads from any ALBERT checkpoint (the head is then new) and from its own checkpoints, masked or compact. Note that
    transformers keeps the dtype of the checkpoint: for training pass `dtype=torch.float32` if that is half precision.
    """

    config_class = MIDropoutAlbertConfig
    config: MIDropoutAlbertConfig
    # ALBERT's loss is a mean over the batch: it ignores `num_items_in_batch`, which the Trainer would rely on.
    accepts_loss_kwargs = False
    _keys_to_ignore_on_load_missing = [r"\.mask$", r"\.drop_rate$"]

    def __init__(self, config: MIDropoutAlbertConfig):
        super().__init__(config)
        self.classifier = MIDropoutHead(config)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module):
        super()._init_weights(module)
        if isinstance(module, MaskedDense):
            # BERT's N(0, 0.02²) would shrink the signal some fourfold per layer and stall a deep head.
            init.kaiming_normal_(module.dense.weight, nonlinearity="relu")
            # `from_pretrained` builds on the meta device and leaves missing buffers uninitialised.
            init.ones_(module.mask)
            init.zeros_(module.drop_rate)

    def masked_layers(self) -> dict[str, MaskedDense]:
        """The layers whose neurons are scored and dropped, by module name, from input to output."""
        return {f"classifier.layers.{index}": layer for index, layer in enumerate(self.classifier.layers)}

    @torch.no_grad()
    def compact(self) -> "MIDropoutAlbertForSequenceClassification":
        """
        Removes the dropped neurons physically. Under FSDP to be called on every process.

        Returns:
            [`MIDropoutAlbertForSequenceClassification`]: a new model with narrower layers that computes the same
            function; this one is unchanged and shares no memory with it.

        Raises:
            `ValueError`: if a layer has no neuron left.
        """
        kept = {name: layer.mask.nonzero().flatten() for name, layer in self.masked_layers().items()}
        for name, index in kept.items():
            if len(index) == 0:
                raise ValueError(
                    f"{name} keeps 0 of {self.get_submodule(name).mask.numel()} neurons: needs at least 1."
                )
        state = {key: tensor.detach() for key, tensor in self.state_dict().items()}
        for key, tensor in state.items():
            if hasattr(tensor, "full_tensor"):  # under FSDP, where each process holds a part
                state[key] = tensor.full_tensor()
        incoming = None
        for name, index in kept.items():
            weight = state[f"{name}.dense.weight"][index]
            state[f"{name}.dense.weight"] = weight if incoming is None else weight[:, incoming]
            state[f"{name}.dense.bias"] = state[f"{name}.dense.bias"][index]
            for buffer in ("mask", "drop_rate"):
                state[f"{name}.{buffer}"] = state[f"{name}.{buffer}"][index]
            incoming = index
        state["classifier.out_proj.weight"] = state["classifier.out_proj.weight"][:, incoming]

        config = copy.deepcopy(self.config)
        config.head_widths = [len(index) for index in kept.values()]
        with torch.random.fork_rng(devices=[]):  # the throw-away weights must not shift the caller's
            small = type(self)(config)
        # assign=True takes each tensor's dtype and device as they are; clone, or both models would share the encoder.
        small.load_state_dict({key: tensor.clone() for key, tensor in state.items()}, assign=True)
        return small.to(self.device).train(self.training)


# `save_pretrained` then copies both files beside the weights and writes `auto_map` into config.json.
MIDropoutAlbertConfig.register_for_auto_class()
MIDropoutAlbertForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")

__all__ = ["MIDropoutAlbertForSequenceClassification"]
