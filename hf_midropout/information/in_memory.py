"""Mutual information of activations that are in memory."""

from __future__ import annotations

import torch

from .checks import IGNORE_INDEX, check_activations, check_classes, check_labels
from .contingency import entropy, num_bins
from .estimation import estimate
from .ranks import rank_counts, rank_sums
from .smoothing import smoothed_information


def mutual_information(activations, labels, num_classes: int | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mutual information I(a; y) = H(a) - H(a | y) (eq. 2 of the paper) of each column of `activations` with the label.

    Args:
        activations (`torch.Tensor` or `numpy.ndarray` of shape `[N, K]`): Activations of K neurons over N samples.
        labels (`torch.Tensor` or `numpy.ndarray` of shape `[N]` or `[N, C]`): Integer classes, where -100 leaves a
            sample out; or soft labels, the probabilities of C classes.
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
    shapes_fit = activations.ndim == 2 and labels.ndim in (1, 2) and len(activations) == len(labels)
    if not shapes_fit or activations.numel() == 0:
        raise ValueError(
            f"activations {tuple(activations.shape)} and labels {tuple(labels.shape)}: "
            "must be [N, K] and [N] or [N, C] with N and K of at least 1."
        )
    if labels.ndim == 2:
        return _with_soft_labels(activations, labels)
    if num_classes is None:
        num_classes = max(int(labels.max()) + 1, 2)
    check_labels(labels, num_classes)
    ignored = labels == IGNORE_INDEX
    if ignored.any():
        activations, labels = activations[~ignored.to(activations.device)], labels[~ignored]
    check_activations(activations)
    check_classes(labels.bincount(minlength=num_classes))
    activations = activations.detach()
    result = estimate(
        rank_counts(activations, labels, num_classes, num_bins(len(labels))),
        lambda neurons, bins: rank_counts(activations[:, neurons], labels, num_classes, bins),
    )
    return result.bits, result.stderr


def _with_soft_labels(activations: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if not labels.is_floating_point():
        raise ValueError(f"labels {tuple(labels.shape)} of {labels.dtype}: soft labels must be floats.")
    wrong = (labels < 0).any(1) | ((labels.sum(1) - 1).abs() > 1e-3)
    if wrong.any():
        raise ValueError(
            f"labels {tuple(labels.shape)}: rows of soft labels must be at least 0 and add up to 1, "
            f"but {int(wrong.sum())} do not."
        )
    check_activations(activations)
    labels = labels.to(activations.device, torch.float64)
    bins = num_bins(len(labels))
    counts = rank_sums(activations.detach(), labels, bins)
    bits, stderr, _ = smoothed_information(counts, rank_sums(activations.detach(), labels.square(), bins))
    return bits.clamp(0.0, float(entropy(labels.sum(0)))), stderr
