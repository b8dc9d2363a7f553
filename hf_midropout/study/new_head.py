"""A head for a method and a seed, its weights drawn as a model's are."""

from __future__ import annotations

import torch
from torch import nn

from ..models.configuration_midropout_bert import MIDropoutBertConfig
from ..models.modeling_midropout import MIDropoutHead
from ..pruning.head.inputs import HeadInputs
from ..regularizers.base import default_weight
from .methods import Method, Setting
from .schedule import Schedule


def make_head(
    method: Method, setting: Setting, schedule: Schedule, train: HeadInputs, num_classes: int, seed: int
) -> MIDropoutHead:
    """A new head, its weights drawn as a model's are."""
    fields = dict(method.head)
    if method.pruning is None and setting.value is not None:
        fields["head_dropout"] = setting.value
    fields["head_regularizer_weight"] = default_weight(fields.get("head_regularizer", "none"), schedule.rows)
    config = MIDropoutBertConfig(
        hidden_size=train.hidden_states.shape[1],
        head_widths=list(schedule.head_widths),
        num_labels=num_classes,
        **fields,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = MIDropoutHead(config)
        # As `MIDropoutClassifierMixin._init_weights`: what a regularizer learns is drawn as the output layer is.
        for module in head.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=config.initializer_range)
                nn.init.zeros_(module.bias)
        for layer in head.hidden_layers():
            nn.init.kaiming_normal_(layer.dense.weight, nonlinearity="relu")
    return head.train()
