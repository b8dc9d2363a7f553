"""The options that say what to drop, and when."""

from __future__ import annotations

import json
from dataclasses import dataclass

from .data_arguments import option


@dataclass
class PruningArguments:
    """What [`MIDropoutConfig`] holds; each field is `--field`."""

    start: str = option(
        "0.5",
        "Length of the initial phase: a fraction of the training such as 0.5, optimizer steps such as 300, or "
        "'2 epochs'.",
    )
    threshold: str | None = option(
        None,
        "Drop neurons with less mutual information than this, in bits, between 0 and log2(classes); or 'search' for "
        "the highest at which validation shows no loss beyond --margin.",
    )
    keep: float | None = option(
        None, "Instead of a threshold: the fraction of neurons to keep, in (0, 1). None: 0.5 without a threshold."
    )
    scope: str = option("layer", "One fraction for each 'layer', or one threshold for all layers: 'global'.")
    criterion: str = option(
        "mutual_information",
        "What makes a neuron important: mutual_information, joint_information (passes over neurons that repeat "
        "others), or a baseline: magnitude, activation, taylor, random.",
    )
    action: str = option(
        "prune",
        "What is done to the other neurons: 'prune', 'dropout' (at --dropout_rate, in training only), 'reinitialize', "
        "or 'none' for a dense run to compare with.",
    )
    dropout_rate: float = option(0.5, "Probability with which the action 'dropout' sets an output to 0.")
    graded: bool = option(False, "Let that probability fall linearly with importance, to 0 at the threshold.")
    pruning_steps: int = option(1, "Times to score, drop and train on, from --start to the end, down to --keep.")
    reconstruction: str = option(
        "least_squares",
        "Refit of the weights that read the kept neurons: 'least_squares', 'mean' (biases only), 'none' (paper).",
    )
    rewind_learning_rate: bool = option(False, "Run through the learning rate's schedule again in retraining.")
    metric: str = option("accuracy", "What the search compares: accuracy, macro_f1 or loss (nats).")
    margin: float = option(0.01, "How much worse the search lets the pruned network be, in units of the metric.")
    alpha: float = option(0.05, "Error rate of the search's test, one-sided.")
    score_samples: int = option(10_000, "Training rows to score neurons with, drawn at random; 0 for all.")

    def pruning_config(self, seed: int):
        """The [`MIDropoutConfig`] that the options ask for; `seed` is that of the run."""
        from ..pruning.config import MIDropoutConfig

        values = {name: getattr(self, name) for name in PruningArguments.__dataclass_fields__}
        values["score_samples"] = values["score_samples"] or None
        for name in ("start", "threshold"):
            try:
                values[name] = json.loads(values[name])
            except (TypeError, ValueError):
                pass  # a word such as 'search', or None
        return MIDropoutConfig(**values, seed=seed)
