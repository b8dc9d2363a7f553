"""What was measured of the feed-forward neurons of an encoder over the tokens of some rows: what criteria look at."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import nn

from ...groups import Groups, linear_of
from ...scoring.inference import frozen_inference, to_device
from ...scoring.passes import LabelledBatch
from ...scoring.taps import per_sample
from ..unit_statistics import random_draws
from .layer_calls import LayerCalls
from .prediction_fisher import drawn_directions, fisher_factor
from .token_statistics import TOKEN_POWER, EncoderStatistics, TokenSums


MOST_CLASSES = 8
"""Up to so many classes the Fisher information is exact; of more, from so many labels drawn from the prediction."""


@dataclass
class EncoderEvidence:
    """
    Statistics of every group, pushed batch by batch in one pass. Made by [`EncoderEvidence.gather`].

    Args:
        network (`nn.Module`): The dense classifier.
        groups (`dict[str, PrunableGroup]`): Feed-forward neurons of its encoder.
        num_classes (`int`): C.
        seed (`int`, *optional*, defaults to 0): Seed of what is drawn.
        derivatives (`bool`, *optional*, defaults to `False`): Whether to gather `taylor` and `mask_fisher` too, at
            more than the cost of all else.
        moments (`bool`, *optional*, defaults to `False`): Whether to gather `moments` too, at more than the cost of a
            forward pass.
    """

    network: nn.Module
    groups: Groups
    num_classes: int
    seed: int = 0
    derivatives: bool = False
    moments: bool = False
    labels: list[torch.Tensor] = field(default_factory=list)
    ranked: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    """Importances by criterion that [`importance`] has worked out already, from all batches."""

    def __post_init__(self):
        self.calls = LayerCalls(self.network, [str(group.layer) for group in self.groups.values()])
        self.sums: dict[str, TokenSums] = {}
        for name, group in self.groups.items():
            weight = linear_of(self.network, group.consumer).weight
            self.sums[name] = TokenSums(group.num_units, weight.shape[0], weight.device)
        self._generator = torch.Generator().manual_seed(self.seed)

    def gather(self, batches: Iterable[LabelledBatch]) -> EncoderEvidence:
        """
        Runs the network over `batches`: a forward pass, and a backward pass for each class but one, through
        activations only.

        Raises:
            `ValueError`: for a group with NaN or infinite activations.
        """
        frozen = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            with frozen_inference(self.network):
                for _, inputs, labels in batches:
                    self._push(to_device(inputs, self.network), labels)
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)
        # From the input on: what breaks in one layer breaks the activations of later ones, and derivatives of all.
        for what, values in (("activations", "variances"), ("derivatives of the prediction", "fisher")):
            for name, sums in self.sums.items():
                measured = getattr(sums, values)
                if not getattr(measured, "variance", measured).isfinite().all():
                    raise ValueError(f"{name} has NaN or infinite {what}: its neurons cannot be ranked.")
        if self.rows and not any(weights.any() for sums in self.sums.values() for weights in sums.weights):
            raise ValueError(
                f"The model is so certain of its prediction on each of {self.rows:,} rows that no change of a neuron "
                "would tell: neurons cannot be ranked, nor weights refitted. Are its logits too large?"
            )
        return self

    def _push(self, inputs: dict[str, Any], labels: torch.Tensor) -> None:
        captured: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {name: [] for name in self.groups}

        def hook(name: str):
            def keep(module, args, output):
                if not output.requires_grad:
                    output = output.requires_grad_()
                captured[name].append((args[0].detach(), output))
                return output

            return keep

        handles = [
            self.network.get_submodule(group.consumer).register_forward_hook(hook(name))
            for name, group in self.groups.items()
        ]
        with torch.enable_grad():
            try:
                logits = self.calls.record(inputs).logits.float()
            finally:
                for handle in handles:
                    handle.remove()
            outputs = [output for pairs in captured.values() for _, output in pairs]
            pulls = list(self._gradients(logits, outputs))
            label_gradients = self._label_gradients(logits, labels, outputs) if self.derivatives else None
        shown = inputs.get("attention_mask")
        self.labels.append(labels.cpu())
        first = 0
        for name, pairs in captured.items():
            sums, own = self.sums[name], slice(first, first + len(pairs))
            for place, (units, output) in enumerate(pairs, first):
                mask = torch.ones(output.shape[:2], device=output.device) if shown is None else shown.to(output)
                self._sum(sums, units, mask, [pull[place] for pull in pulls])
                sums.averages.append(per_sample(units, shown).cpu())
            if label_gradients is not None:
                weight = linear_of(self.network, self.groups[name].consumer).weight
                seen = [units if shown is None else units * shown.to(units)[..., None] for units, _ in pairs]
                for pull in pulls:
                    sums.mask_fisher += by_mask(seen, weight, pull[own]).square().sum(0).double()
                sums.taylor += by_mask(seen, weight, label_gradients[own]).abs().sum(0).double()
            first += len(pairs)

    def _gradients(self, logits: torch.Tensor, outputs: list[torch.Tensor]):
        """
        Gradients by the consumers' outputs, whose squares add up to the Fisher information of the prediction.
        """
        if self.num_classes <= MOST_CLASSES:
            directions = fisher_factor(logits.detach())
        else:
            directions = drawn_directions(logits.detach(), MOST_CLASSES, self._generator)
        for direction in directions:
            yield torch.autograd.grad(logits, outputs, direction, retain_graph=True)

    def _label_gradients(self, logits: torch.Tensor, labels: torch.Tensor, outputs: list[torch.Tensor]):
        loss = nn.functional.cross_entropy(logits, labels.to(logits.device), reduction="sum")
        return torch.autograd.grad(loss, outputs)

    def _sum(self, sums: TokenSums, units: torch.Tensor, mask: torch.Tensor, pulls: list[torch.Tensor]) -> None:
        counted = mask > 0
        tokens = units[counted]
        sums.variances.update(tokens)
        if self.moments:
            sums.plain.update(tokens)
        reach = torch.zeros_like(mask)
        for pull in pulls:
            reach += pull.square().sum(-1)
            flat = pull[counted]
            sums.fisher += (flat.t() @ flat).double()
        reached = counted & (reach > 0)
        weights = reach.sqrt() ** TOKEN_POWER * reached
        sums.weighted.update(units[reached], weights=weights[reached])
        sums.weights.append(weights)

    @property
    def rows(self) -> int:
        """How many were measured."""
        return sum(map(len, self.labels))

    def of(self, name: str) -> EncoderStatistics:
        """What was measured of one group."""
        return EncoderStatistics(self, self.groups[name])

    @property
    def tokens(self) -> dict[str, list[torch.Tensor]]:
        """
        By group, for each batch and application: how much each token counts, `[rows, tokens]`, as in
        `EncoderStatistics.weighted_covariance`; 0 for those that do not reach the prediction.
        """
        return {name: sums.weights for name, sums in self.sums.items()}

    @cached_property
    def random(self) -> dict[str, torch.Tensor]:
        """As [`random_draws`]."""
        return random_draws(self.groups, self.seed)


def by_mask(units: Sequence[torch.Tensor], weight: torch.Tensor, gradients: Sequence[torch.Tensor]) -> torch.Tensor:
    """
    Derivatives by each neuron's mask: a sum over tokens, and over the applications of a layer that is shared.

    Args:
        units (`Sequence[torch.Tensor]`, each `[rows, tokens, K]`): By application; 0 for tokens that are hidden.
        weight (`torch.Tensor` of shape `[outputs, K]`): Of the consumer.
        gradients (`Sequence[torch.Tensor]`, each `[rows, tokens, outputs]`): By the consumer's output.

    Returns:
        `torch.Tensor`: `[rows, K]`.
    """
    each = (
        torch.einsum("btk,btk->bk", own, gradient @ weight) for own, gradient in zip(units, gradients, strict=True)
    )
    return torch.stack(list(each)).sum(0)
