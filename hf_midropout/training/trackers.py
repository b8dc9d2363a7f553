"""What reaches TensorBoard, W&B, MLflow and trackio through the Trainer's own callbacks: histograms and config."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from transformers.integrations.integration_utils import (
    MLflowCallback,
    TensorBoardCallback,
    TrackioCallback,
    WandbCallback,
)
from transformers.trainer_callback import PrinterCallback, ProgressCallback


if TYPE_CHECKING:
    from transformers import Trainer

    from ..pruning.config import MIDropoutConfig
    from ..scoring.scores import NeuronScores


PREFIX = "midropout"
BINS = 64
"""Of a histogram, where it is a table."""


def log_to_trackers(trainer: Trainer, logs: dict[str, float]) -> None:
    """
    `trainer.log(logs)`, where it is for trackers: what would print the dictionary on the terminal is passed over.
    To be called on every process.
    """
    handler = trainer.callback_handler
    everyone = handler.callbacks
    try:
        handler.callbacks = [each for each in everyone if not isinstance(each, (PrinterCallback, ProgressCallback))]
        trainer.log(logs)
    finally:
        handler.callbacks = everyone


def log_config(trainer: Trainer, config: MIDropoutConfig) -> None:
    """The configuration, beside the Trainer's arguments and the model's configuration; after trackers have begun."""
    if not trainer.is_world_process_zero():
        return
    named = {f"{PREFIX}/{name}": value for name, value in config.recorded().items()}
    for each in trainer.callback_handler.callbacks:
        if isinstance(each, TensorBoardCallback) and each.tb_writer is not None:
            each.tb_writer.add_text(f"{PREFIX}_config", json.dumps(config.recorded(), indent=2))
        elif isinstance(each, WandbCallback) and each._wandb is not None:
            each._wandb.config.update(named, allow_val_change=True)
        elif isinstance(each, MLflowCallback) and each._initialized:
            each._ml_flow.log_params({name: str(value)[:250] for name, value in named.items()})
        elif isinstance(each, TrackioCallback) and each._initialized:
            each._trackio.config.update(named, allow_val_change=True)


def log_bits(trainer: Trainer, scores: NeuronScores) -> None:
    """Histograms of the bits of each layer's neurons, at the step that the training is at."""
    if not trainer.is_world_process_zero():
        return
    step = trainer.state.global_step
    bits = {f"{PREFIX}/bits/{name}": layer.bits.cpu().numpy() for name, layer in scores.layers.items()}
    for each in trainer.callback_handler.callbacks:
        if isinstance(each, TensorBoardCallback) and each.tb_writer is not None:
            for name, values in bits.items():
                each.tb_writer.add_histogram(name, values, step)
        elif isinstance(each, WandbCallback) and each._wandb is not None:
            shown = {name: each._wandb.Histogram(values) for name, values in bits.items()}
            each._wandb.log({**shown, "train/global_step": step})
        elif isinstance(each, MLflowCallback) and each._initialized:
            content = {name: counts(values) for name, values in bits.items()}
            each._ml_flow.log_dict(content, f"{PREFIX}/bits_at_step_{step}.json")
        elif isinstance(each, TrackioCallback) and each._initialized and hasattr(each._trackio, "Histogram"):
            each._trackio.log({name: each._trackio.Histogram(values.tolist()) for name, values in bits.items()})


def counts(values) -> dict[str, Any]:
    """A histogram as numbers: `"counts"`, and the `"edges"` of its bins in bits."""
    import numpy as np

    found, edges = np.histogram(values, BINS)
    return {"counts": found.tolist(), "edges": edges.tolist()}
