"""Evaluates many masks for the price of one: the encoder runs once, the small head as often as needed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from torch import nn
from tqdm.auto import tqdm

from .inference import FixedBatches, frozen_inference, split_labels, to_device
from .information.checks import IGNORE_INDEX
from .metrics.text_classification import classification_metrics


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

    def metrics(self, head: nn.Module, batch_size: int = 4096) -> dict[str, float]:
        """Accuracy, macro F1, loss (nats) and calibration error of `head`, as it is masked now."""
        dtype = next(head.parameters()).dtype  # under autocast the encoder's output is narrower than the weights
        with frozen_inference(head):
            logits = torch.cat([head(chunk.to(dtype)).float().cpu() for chunk in self.hidden_states.split(batch_size)])
        labelled = self.labels != IGNORE_INDEX
        return classification_metrics(logits[labelled].numpy(), self.labels[labelled].numpy())


def collect_head_inputs(model: nn.Module, batches: FixedBatches, progress: bool = True) -> HeadInputs:
    """
    Runs the encoder of `model` once over `batches`; each process takes its share and gets the whole.

    Raises:
        `ValueError`: if there is no batch.
    """
    if not batches.batches:
        raise ValueError("The dataset to evaluate is empty.")
    process = PartialState()
    received: list[torch.Tensor] = []
    handle = model.classifier.register_forward_pre_hook(lambda module, args: received.append(args[0]))
    collected = []
    try:
        with frozen_inference(model):
            mine = batches.of_process(process.process_index, process.num_processes)
            bar = tqdm(mine, desc="Evaluating", unit="batch", disable=not (progress and process.is_main_process))
            for number, batch in bar:
                inputs, labels = split_labels(batch)
                model(**to_device(inputs, model))
                hidden_states = received.pop()
                collected.append(
                    (number, hidden_states if process.num_processes == 1 else hidden_states.cpu(), labels)
                )
    finally:
        handle.remove()
    if process.num_processes > 1:
        collected = gather_object(collected)
    collected.sort(key=lambda entry: entry[0])
    return HeadInputs(
        torch.cat([hidden_states for _, hidden_states, _ in collected]).to(next(model.parameters()).device),
        torch.cat([labels for _, _, labels in collected]),
    )
