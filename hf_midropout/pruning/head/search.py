"""One network under many masks: what each costs on validation rows, and the most pruned one that is not inferior."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from ...choices import Metric
from ...groups import linear_of
from ...metrics.classification import metrics
from ...scoring.inference import frozen_inference
from ..comparison.noninferiority import compare
from ..record.schema import Sweep, SweepRow
from ..selection import Selection
from .inputs import HeadInputs
from .network import HeadNetwork
from .reconstruction import Reconstruction, Refit


def level_logits(
    network: HeadNetwork, hidden_states: torch.Tensor, levels: list[Selection], refits: list[Refit] | None = None
) -> Iterator[torch.Tensor]:
    """
    `[N, classes]` logits of `network` under each mask, in eval mode and without gradients.

    The first layer is computed once for all. Without `refits`, the next one's sums grow by the neurons that each level
    adds to the one before, so levels should come from the most to the least pruned.
    """
    with torch.no_grad():
        layers, groups = network.masked_layers(), network.groups
        first_name, *names = layers
        first = network.units(hidden_states)[first_name]
        consumers = {name: linear_of(network, group.consumer) for name, group in groups.items()}
        kept = torch.zeros(first.shape[1], dtype=torch.bool, device=first.device)
        sums = torch.zeros(len(first), consumers[first_name].out_features, dtype=first.dtype, device=first.device)
        for number, level in enumerate(levels):
            masks = {name: mask.to(first.device) for name, mask in level.kept.items()}
            if refits:
                weights, biases = refits[number].weights, refits[number].biases
                index = masks[first_name].nonzero().flatten()
                values = nn.functional.linear(first[:, index], weights[first_name][:, index], biases[first_name])
            else:
                weights = {name: linear.weight for name, linear in consumers.items()}
                biases = {name: linear.bias for name, linear in consumers.items()}
                if (kept & ~masks[first_name]).any():
                    kept, sums = torch.zeros_like(kept), torch.zeros_like(sums)
                added = (masks[first_name] & ~kept).nonzero().flatten()
                if len(added):
                    sums += first[:, added] @ weights[first_name][:, added].t()
                kept, values = masks[first_name], sums + biases[first_name]
            for name in names:
                index = (masks[name] & layers[name].mask).nonzero().flatten()
                activations = layers[name].activation(values[:, index])
                values = nn.functional.linear(activations, weights[name][:, index], biases[name])
            yield values


def sweep(
    network: HeadNetwork,
    validation: HeadInputs,
    levels: list[Selection],
    *,
    metric: Metric = "accuracy",
    margin: float = 0.01,
    alpha: float = 0.05,
    reconstruction: Reconstruction | None = None,
) -> Sweep:
    """
    Tests every level against the network as it is, on the same validation rows. The levels are walked from the least
    to the most pruned until the first that fails; as each is within the one before, this fixed sequence of tests needs
    no correction for their number.

    Args:
        network ([`HeadNetwork`]): The head before pruning.
        validation ([`HeadInputs`]): Its input for validation rows.
        levels (`list[Selection]`): From the least to the most pruned, as `nested_selections` gives them.
        metric (`str`, *optional*, defaults to `"accuracy"`): `"accuracy"`, `"macro_f1"` or `"loss"`.
        margin (`float`, *optional*, defaults to 0.01): How much worse is tolerated, in the units of the metric.
        alpha (`float`, *optional*, defaults to 0.05): Error rate of the test.
        reconstruction ([`Reconstruction`], *optional*): Refits the head at each level.
    """
    rows = validation.labelled()
    hidden_states, labels = rows.hidden_states, rows.labels.to(rows.hidden_states.device)
    with frozen_inference(network):
        dense = network(hidden_states)
    ordered = levels[::-1]
    refits = [reconstruction.refit(level.kept) for level in ordered] if reconstruction else None
    result = Sweep(metric, margin, alpha, len(labels), metrics(dense, labels))
    for level, logits in zip(ordered, level_logits(network, hidden_states, ordered, refits), strict=True):
        test = compare(metric, dense, logits, labels, margin)
        kept = {name: count for name, (count, _) in level.widths.items()}
        result.levels.append(
            SweepRow(
                threshold=level.threshold,
                kept=kept,
                difference=test.difference,
                stderr=test.stderr,
                p_value=test.p_value,
                **metrics(logits, labels),
            )
        )
    result.levels.reverse()
    passed = [row.p_value <= alpha for row in result.levels]
    first_failure = passed.index(False) if False in passed else len(passed)
    result.chosen = first_failure - 1 if first_failure else None
    return result
