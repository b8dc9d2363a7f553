"""Mutual information between real-valued activations and class labels, in bits."""

from .contingency import MutualInformation
from .in_memory import mutual_information
from .statistics import NeuronStatistics


__all__ = ["MutualInformation", "NeuronStatistics", "mutual_information"]
