"""Mutual information between real-valued activations and class labels, in bits."""

from .contingency import MutualInformation
from .in_memory import mutual_information
from .soft_label_statistics import SoftLabelStatistics
from .statistics import NeuronStatistics
from .target_statistics import MultiLabelStatistics, RegressionStatistics


__all__ = [
    "MultiLabelStatistics",
    "MutualInformation",
    "NeuronStatistics",
    "RegressionStatistics",
    "SoftLabelStatistics",
    "mutual_information",
]
