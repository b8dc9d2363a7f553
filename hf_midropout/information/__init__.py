"""Mutual information between real-valued activations and class labels, in bits."""

from .contingency import MutualInformation
from .copies import Copies
from .in_memory import mutual_information
from .rows_seen import RowsSeen
from .soft_label_statistics import SoftLabelStatistics
from .statistics import NeuronStatistics
from .target_statistics import MultiLabelStatistics, RegressionStatistics


__all__ = [
    "Copies",
    "MultiLabelStatistics",
    "MutualInformation",
    "NeuronStatistics",
    "RegressionStatistics",
    "RowsSeen",
    "SoftLabelStatistics",
    "mutual_information",
]
