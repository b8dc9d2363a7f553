"""What may be chosen by name, and limits, for those who must know before torch is imported."""

from typing import Literal, get_args


Scope = Literal["layer", "global"]
Action = Literal["prune", "dropout", "reinitialize", "none"]
ReconstructionKind = Literal["least_squares", "mean", "none"]
Metric = Literal["accuracy", "macro_f1", "loss"]
Targets = Literal["head", "encoder", "all"]
TARGETS: tuple[Targets, ...] = get_args(Targets)
CRITERION_NAMES = ("mutual_information", "joint_information", "magnitude", "std_times_norm", "taylor", "random")
ENCODER_CRITERION_NAMES = (
    *CRITERION_NAMES, "prediction_information", "prediction_variance", "brain_surgeon", "mask_fisher",
)  # fmt: skip
COMPARABLE_CRITERIA = ("prediction_information", "prediction_variance", "mutual_information")
"""In bits, so that they compare over the layers of an encoder too."""

DEFAULT_CRITERIA = {"head": "mutual_information", "encoder": "prediction_information"}
SEARCH = "search"
"""In place of a threshold: the highest that a test on validation rows allows."""

FEWEST_TOKENS = 3
"""That a text may be cut to: two of them are special tokens."""
TINY_MAX_LENGTH = 512
"""Positions of the tiny model: more than it is trained on, so that a longer text does not stop a pipeline."""
