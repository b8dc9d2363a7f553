"""Drops whole layers of a fine-tuned encoder in one shot: chosen by measurement, dropped, what is left refitted."""

from __future__ import annotations

import copy
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import nn

from ...groups import Groups, drop_layers, find_groups
from ...groups.layers import encoder_layers
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference, to_device
from ...scoring.passes import labelled_batches
from ..encoder.layer_calls import LayerCalls
from ..encoder.sequential_reconstruction import SequentialReconstruction
from .choice import choose_layers
from .spans import DenseSpans, SpanCalls, span_ends, take_over_norms


@dataclass
class LayerDropping:
    """
    What was done to the layers of an encoder.

    Args:
        layers (`int`): Layers before.
        kept (`list[int]`): As in [`LayerChoice`].
        costs (`list[tuple[list[int], float]]`): As in [`LayerChoice`]: layers and bits, in the order of removal.
        unexplained (`dict[str, float]`): By group of the smaller model, the share of the mean square of what was to be
            made good by the reconstruction that is left.
        seconds (`dict[str, float]`): Wall time of `"choosing"` and `"reconstructing"`.
    """

    layers: int
    kept: list[int]
    costs: list[tuple[list[int], float]]
    unexplained: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        went = ", ".join(f"{'+'.join(map(str, layers))} ({bits:.4f} bits)" for layers, bits in self.costs)
        return f"Layers: {self.layers} -> {len(self.kept)}." + (f" Dropped, in this order: {went}." if went else "")


def keep_layers(model: nn.Module, batches: Batches, number: int) -> LayerDropping:
    """
    Drops layers of `model`, in place, until `number` are left: one after the other the one without which its
    prediction changes least. Then the feed-forward layers that are left are refitted, so that each gives what the
    layers gave that it stands for. Nothing is trained.

    Args:
        model ([`~transformers.PreTrainedModel`]): A fine-tuned classifier whose architecture is in the table.
        batches (`Batches`): Rows to measure and reconstruct on.
        number (`int`): Layers to keep.

    Raises:
        `ValueError`: for a `number` of layers to keep that `model` cannot be cut to.
    """
    started = time.perf_counter()
    choice = choose_layers(model, batches, number)
    chosen = time.perf_counter()
    result = LayerDropping(encoder_layers(model).number, choice.kept, choice.costs)
    if len(choice.kept) < result.layers:
        dense = copy.deepcopy(model)
        drop_layers(model, choice.kept)
        result.unexplained = reconstruct_layers(dense, model, choice.kept, batches)
    result.seconds = {"choosing": chosen - started, "reconstructing": time.perf_counter() - chosen}
    return result


def reconstruct_layers(dense: nn.Module, shallow: nn.Module, kept: list[int], batches: Batches) -> dict[str, float]:
    """
    Refits the feed-forward layers of `shallow`, in place, towards the hidden states of `dense`.

    Args:
        dense (`nn.Module`): The network with all layers.
        shallow (`nn.Module`): The same with the layers `kept`.
        kept (`list[int]`): Their indices in `dense`.
        batches (`Batches`): Rows to reconstruct from.

    Returns:
        `dict[str, float]`: By group of `shallow`, the share of the mean square of what was to be made good that is
        left.
    """
    dense_groups, groups = find_groups(dense, "encoder"), find_groups(shallow, "encoder")
    calls, tokens = record_calls(dense, dense_groups, batches)
    order = [str(group.layer) for group in groups.values() for _ in range(group.num_calls)]
    spans = SpanCalls(calls, kept, order)
    take_over_norms(shallow, spans, dense)
    view = DenseSpans(dense, span_ends(spans))
    reconstruction = SequentialReconstruction(
        view, groups, cast(LayerCalls, spans), spans.tokens(dense_groups, tokens, groups)
    )
    with frozen_inference(dense), frozen_inference(shallow):
        return reconstruction.reconstruct({"": shallow})[""]


def record_calls(
    network: nn.Module, groups: Groups, batches: Batches
) -> tuple[LayerCalls, dict[str, list[torch.Tensor]]]:
    """
    How `network` calls its layers on `batches`, and by group, for each batch and application, which tokens count:
    `[rows, tokens]`, 1 for those that are shown and reach the logits, else 0.
    """
    calls = LayerCalls(network, [str(group.layer) for group in groups.values()])
    tokens: dict[str, list[torch.Tensor]] = {name: [] for name in groups}
    frozen = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        with frozen_inference(network):
            for _, inputs, _ in labelled_batches(batches):
                _record(calls, groups, to_device(inputs, network), tokens)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)
    return calls, tokens


def _record(calls: LayerCalls, groups: Groups, inputs: dict[str, Any], tokens: dict[str, list[torch.Tensor]]) -> None:
    outputs: list[tuple[str, torch.Tensor]] = []

    def hook(name: str):
        def keep(module, args, output):
            output = output if output.requires_grad else output.requires_grad_()
            outputs.append((name, output))
            return output

        return keep

    with ExitStack() as handles, torch.enable_grad():
        for name, group in groups.items():
            handle = calls.model.get_submodule(group.consumer).register_forward_hook(hook(name))
            handles.callback(handle.remove)
        logits = calls.record(inputs).logits.float()
        # Unequal weights, as no direction of the logits should cancel out.
        weights = torch.linspace(1, 2, logits.shape[-1], device=logits.device)
        gradients = torch.autograd.grad((logits * weights).sum(), [output for _, output in outputs])
    shown = inputs.get("attention_mask")
    for (name, output), gradient in zip(outputs, gradients, strict=True):
        reached = gradient.abs().sum(-1) > 0
        tokens[name].append((reached if shown is None else reached & (shown > 0)).to(output.dtype))
