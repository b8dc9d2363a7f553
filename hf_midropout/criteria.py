"""How important each neuron is, by one criterion or another. A new criterion is one function here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import nn

from .head import layer_inputs, outgoing_weights
from .head_evaluation import HeadInputs
from .information.joint import SecondMoments, greedy_log_determinant
from .moments import Moments
from .scores import NeuronScores


@dataclass
class Evidence:
    """
    What a criterion may look at.

    Args:
        scores ([`NeuronScores`]): Mutual information of the head's neurons, by layer.
        head (`nn.Module`): The masked head, with `layers` and `out_proj`.
        inputs ([`HeadInputs`]): The head's input for training rows.
        seed (`int`): Seed of what is drawn.
    """

    scores: NeuronScores
    head: nn.Module
    inputs: HeadInputs
    seed: int = 0

    @cached_property
    def moments(self) -> Moments:
        """Means and covariances of the head's activations."""
        return Moments.of_head(self.head, self.inputs.hidden_states)

    def activations(self, chunk: int = 4096) -> Iterator[tuple[list[torch.Tensor], torch.Tensor]]:
        """Chunks of labelled rows: `[N, K]` outputs of each layer in eval mode, `[N]` labels."""
        for hidden_states, labels in self.inputs.labelled().split(chunk):
            with torch.no_grad():
                yield layer_inputs(self.head, hidden_states)[1:], labels


Importance = dict[str, torch.Tensor]
"""`[K]` float64 on the CPU by layer; the higher, the longer a neuron is kept. Values compare within a layer."""

CRITERIA: dict[str, Callable[[Evidence], list[torch.Tensor]]] = {}
CONTROLS = ("magnitude", "activation", "taylor", "random")


def criterion(function):
    """Registers a function that gives `[K]` importances for each layer, under its name."""
    CRITERIA[function.__name__] = function
    return function


def importance(evidence: Evidence, name: str) -> Importance:
    """
    The importance of every neuron under the criterion `name`, a key of `CRITERIA`; -inf if it was dropped before.

    Raises:
        `ValueError`: if a value is NaN or infinite.
    """
    result = {}
    for layer_name, values, layer in zip(
        evidence.scores.layers, CRITERIA[name](evidence), evidence.head.layers, strict=True
    ):
        values = values.detach().double().cpu()
        if not values.isfinite().all():
            broken = int((~values.isfinite()).sum())
            raise ValueError(f"criterion={name!r} gives no finite value for {broken} neurons of {layer_name}.")
        result[layer_name] = values.masked_fill(~layer.mask.cpu(), -torch.inf)
    return result


@criterion
def mutual_information(evidence: Evidence) -> list[torch.Tensor]:
    """I(a; y) in bits (eq. 2 of the paper)."""
    return [layer.bits for layer in evidence.scores.layers.values()]


@criterion
def joint_information(evidence: Evidence) -> list[torch.Tensor]:
    """
    Rank in a greedy selection by joint Gaussian information about the label: a neuron that repeats others comes late.
    The first neuron taken has K, the last one 1.
    """
    moments: list[SecondMoments] = []
    for activations, labels in evidence.activations():
        if not moments:
            classes = evidence.scores.num_classes
            moments = [SecondMoments(values.shape[1], classes, values.device) for values in activations]
        for gathered, values in zip(moments, activations, strict=True):
            gathered.update(values, labels)
    ranks = []
    for gathered in moments:
        order = greedy_log_determinant(*gathered.covariances()).order
        ranks.append(len(order) - order.argsort())
    return ranks


@criterion
def magnitude(evidence: Evidence) -> list[torch.Tensor]:
    """Euclidean norm of the incoming weights."""
    return [layer.dense.weight.norm(dim=1) for layer in evidence.head.layers]


@criterion
def activation(evidence: Evidence) -> list[torch.Tensor]:
    """Standard deviation of the activation times the Euclidean norm of the outgoing weights."""
    return [
        covariance.diagonal().clamp(min=0).sqrt() * weight.norm(dim=0)
        for covariance, weight in zip(evidence.moments.covariances, outgoing_weights(evidence.head), strict=True)
    ]


@criterion
def taylor(evidence: Evidence) -> list[torch.Tensor]:
    """Mean of |activation x gradient of the loss|, the first-order change of a row's loss (Molchanov et al., 2017)."""
    totals = [torch.zeros(layer.mask.numel(), dtype=torch.float64) for layer in evidence.head.layers]
    rows = 0
    for activations, labels in evidence.activations():
        for index, values in enumerate(activations):
            with torch.enable_grad():
                values = values.detach().requires_grad_()
                logits = evidence.head.out_proj(layer_inputs(evidence.head, values, first=index + 1)[-1])
                loss = nn.functional.cross_entropy(logits, labels, reduction="sum")
                (gradient,) = torch.autograd.grad(loss, values)
            totals[index] += (values * gradient).detach().abs().sum(0).double().cpu()
        rows += len(labels)
    return [total / rows for total in totals]


@criterion
def random(evidence: Evidence) -> list[torch.Tensor]:
    """A seeded draw: what a criterion has to beat."""
    generator = torch.Generator().manual_seed(evidence.seed)
    return [torch.rand(layer.mask.numel(), generator=generator) for layer in evidence.head.layers]
