"""Mutual information of activations that are in memory."""

from __future__ import annotations

import torch

from .contingency import MutualInformation
from .statistics import NeuronStatistics


def mutual_information(activations, labels, num_classes: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mutual information I(a; y) = H(a) - H(a | y) (eq. 2 of the paper) of each column of `activations` with the label.

    Args:
        activations (`torch.Tensor` or `numpy.ndarray` of shape `[N, K]`): Activations of K neurons over N samples.
        labels (`torch.Tensor` or `numpy.ndarray` of shape `[N]`): Integer classes; -100 leaves a sample out.
        num_classes (`int`, *optional*): Number of classes; the largest label plus one by default.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: bits and their standard errors, each of shape `[K]`, in float64.

    Raises:
        `ValueError`: for empty input, shapes that do not fit, NaN or infinite activations, labels that are no classes,
        or labels of one class only.

    Example:

    ```python
    >>> import torch
    >>> from hf_midropout.information import mutual_information

    >>> labels = torch.arange(1000) % 2
    >>> bits, stderr = mutual_information(labels[:, None].float(), labels)
    >>> bits
    tensor([1.], dtype=torch.float64)
    ```
    """
    activations, labels = torch.as_tensor(activations), torch.as_tensor(labels)
    if activations.ndim != 2 or labels.ndim != 1 or len(activations) != len(labels) or activations.numel() == 0:
        raise ValueError(
            f"activations {tuple(activations.shape)} and labels {tuple(labels.shape)}: "
            "must be [N, K] and [N] with N and K of at least 1."
        )
    if num_classes is None:
        num_classes = max(int(labels.max()) + 1, 2)
    statistics = NeuronStatistics(
        activations.shape[1], num_classes, calibration_rows=len(labels), device=activations.device
    )
    statistics.update(activations, labels)
    result: MutualInformation = statistics.mutual_information()
    return result.bits, result.stderr
