"""Mutual information between real-valued activations and class labels, in bits."""

from .copies import Copies
from .estimation.contingency import MutualInformation
from .estimators.in_memory import mutual_information
from .estimators.neurons import NeuronStatistics
from .estimators.other_targets import MultiLabelStatistics, RegressionStatistics
from .estimators.soft_labels import SoftLabelStatistics
from .streaming.rows_seen import RowsSeen


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
