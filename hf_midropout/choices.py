"""What may be chosen by name, and limits, for those who must know before torch is imported."""

CRITERION_NAMES = ("mutual_information", "joint_information", "magnitude", "std_times_norm", "taylor", "random")
RECONSTRUCTIONS = ("none", "mean", "least_squares")
METRICS = ("accuracy", "macro_f1", "loss")

TINY_MAX_LENGTH = 512
"""Positions of the tiny model: more than it is trained on, so that a longer text does not stop a pipeline."""
