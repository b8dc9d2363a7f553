"""What a method does to each head in the middle of its training, and how many bits its layers then have."""

from __future__ import annotations

import torch

from ..models.modeling_midropout import MIDropoutHead
from ..pruning.config import MIDropoutConfig
from ..pruning.head.inputs import HeadInputs
from ..pruning.head.network import HeadNetwork
from ..scoring.scores import NeuronScores
from .methods import Method, Setting
from .outcome import Outcome
from .pruning import prune, score_head
from .stacked import StackedHeads


def middle(
    heads: StackedHeads,
    number: int,
    method: Method,
    setting: Setting,
    rows: HeadInputs,
    num_classes: int,
    outcome: Outcome,
    optimizer: torch.optim.Optimizer,
    measure_bits: bool,
) -> None:
    """Scores head `number` on `rows` and does to it, and to the optimizer's state of it, what the method says."""
    if method.pruning is None and not measure_bits:
        return
    head = heads.head(number)
    scores = note_bits(outcome, "before", head, rows, num_classes)
    if method.pruning is None:
        return
    config = MIDropoutConfig(keep=setting.value, seed=outcome.seed, **method.pruning)
    kept = prune(head, rows, scores, config)
    outcome.kept = [int(mask.sum()) for mask in kept.values()]
    outcome.bits["before_kept"] = list(scores.layer_average(kept).values())
    heads.put(number, head)
    if config.action == "dropout":
        for layer in heads.template.hidden_layers():
            layer.mi_dropout = True
    if config.action == "reinitialize":
        _forget(heads, number, kept, optimizer)
    if measure_bits:
        note_bits(outcome, "after", head, rows, num_classes)


def note_bits(outcome: Outcome, when: str, head: MIDropoutHead, rows: HeadInputs, num_classes: int) -> NeuronScores:
    """Adds the bits of each layer to `outcome`, as Figure 2 needs them. Returns the scores."""
    scores = score_head(head, rows, num_classes)
    masks = {name: layer.mask for name, layer in HeadNetwork(head).masked_layers().items()}
    for key, kept in ((when, None), (f"{when}_unmasked", masks)):  # a masked neuron carries no bits
        outcome.bits[key] = list(scores.layer_average(kept).values())
    return scores


def tell_information(heads: StackedHeads, number: int, rows: HeadInputs, num_classes: int) -> None:
    """As the callback does after each epoch: rates follow the bits of the neurons."""
    head = heads.head(number)
    head.set_information(list(score_head(head, rows, num_classes).bits.values()))
    heads.put(number, head)


def _forget(heads: StackedHeads, number: int, kept: dict[str, torch.Tensor], optimizer) -> None:
    """What the optimizer remembers of weights that were drawn anew."""
    for name, mask in kept.items():
        for parameter in ("weight", "bias"):
            state = optimizer.state[heads.parameters[f"{name.removeprefix('classifier.')}.dense.{parameter}"]]
            for key in ("exp_avg", "exp_avg_sq"):
                state[key][number, ~mask] = 0
