"""Evaluates many masks for the price of one: the encoder runs once, the small head as often as needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from accelerate import PartialState
from torch import nn
from tqdm.auto import tqdm

from ...information.checks import IGNORE_INDEX
from ...metrics.calibration import reliability
from ...metrics.text_classification import classification_metrics
from ...models.modeling_midropout import text_vector
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference
from ...scoring.passes import forward_passes, gather_numbered, rounds


if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass
class HeadInputs:
    """
    What the head of a model receives for each row of a dataset, in the order of the dataset.

    Args:
        hidden_states (`torch.Tensor` of shape `[N, hidden_size]`): On the CPU, or the device of the model.
        labels (`torch.Tensor` of shape `[N]`): Classes, on the CPU.
    """

    hidden_states: torch.Tensor
    labels: torch.Tensor

    def labelled(self) -> HeadInputs:
        """Without the rows whose label is -100."""
        index = (self.labels != IGNORE_INDEX).nonzero().flatten()
        if len(index) == len(self.labels):
            return self
        return HeadInputs(self.hidden_states[index.to(self.hidden_states.device)], self.labels[index])

    def split(self, rows: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Chunks of hidden states and labels, both on the device of the hidden states."""
        labels = self.labels.to(self.hidden_states.device)
        yield from zip(self.hidden_states.split(rows), labels.split(rows), strict=True)

    def logits(self, head: nn.Module, batch_size: int = 4096) -> np.ndarray:
        """`[N, classes]` float32 logits of `head`, as it is masked now."""
        dtype = next(head.parameters()).dtype  # under autocast the encoder's output is narrower than the weights
        with frozen_inference(head):
            chunks = [head(chunk.to(dtype)).float().cpu() for chunk, _ in self.split(batch_size)]
        return torch.cat(chunks).numpy()

    def metrics(self, head: nn.Module) -> dict[str, float]:
        """Accuracy, macro F1, loss (nats) and calibration error of `head` over labelled rows."""
        rows = self.labelled()
        return classification_metrics(rows.logits(head), rows.labels.numpy())

    def reliability(self, head: nn.Module) -> list[dict[str, Any]]:
        """The points of the reliability diagram of `head` over labelled rows: [`~metrics.calibration.reliability`]."""
        rows = self.labelled()
        return reliability(rows.logits(head), rows.labels.numpy())


class HeadInputCollector:
    """
    Context manager that keeps what the head of a model takes in during forward passes over batches.

    Args:
        model (`PreTrainedModel`): With a `classifier`.
        max_batches (`int`, *optional*): Batches to keep, by number; all by default.
    """

    def __init__(self, model: PreTrainedModel, max_batches: int | None = None):
        self.model = model
        self.max_batches = max_batches
        self.device = next(model.parameters()).device
        self._received: list[torch.Tensor] = []
        self._kept: list[tuple[int, torch.Tensor, torch.Tensor]] = []

    def __enter__(self) -> HeadInputCollector:
        self._handle = self.model.classifier.register_forward_pre_hook(
            lambda module, args: self._received.append(text_vector(args[0]))
        )
        return self

    def __exit__(self, *exception) -> None:
        self._handle.remove()

    def observe(self, number: int, labels: torch.Tensor) -> None:
        """To be called after the forward pass of batch `number`."""
        hidden_states = self._received.pop()
        self._received.clear()
        if self.max_batches is None or number < self.max_batches:
            self._kept.append((number, hidden_states, labels))

    def gather(self) -> HeadInputs:
        """The rows of all processes, in the order of the batches."""
        collected = gather_numbered(self._kept)
        if not collected:
            raise ValueError("The dataset to evaluate is empty.")
        return HeadInputs(
            torch.cat([hidden_states for _, hidden_states, _ in collected]).to(self.device),
            torch.cat([labels for _, _, labels in collected]).cpu(),
        )


def collect_head_inputs(model: nn.Module, batches: Batches, progress: bool = True) -> HeadInputs:
    """
    Runs the encoder of `model` once over `batches`; each process takes its share and gets the whole.

    Raises:
        `ValueError`: if the dataset is empty.
    """
    process = PartialState()
    with frozen_inference(model), HeadInputCollector(model) as collector:
        passes = forward_passes(model, batches, process.process_index, process.num_processes)
        silent = not (progress and process.is_main_process)
        bar = tqdm(
            passes, total=rounds(batches, process.num_processes), desc="Evaluating", unit="batch", disable=silent
        )
        for each in bar:
            if each.number is not None:
                collector.observe(each.number, each.labels)
    return collector.gather()
