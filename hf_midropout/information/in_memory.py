"""Mutual information of activations that are in memory."""

from __future__ import annotations

import torch

from .checks import IGNORE_INDEX, check_activations, check_classes, check_labels
from .contingency import entropy, num_bins
from .estimation import estimate_bits
from .ranks import rank_counts, rank_sums
from .smoothing import smoothed_information
from .targets import (
    TARGET_BINS,
    binary_labels,
    check_problem_type,
    check_targets,
    soft_labels,
    target_classes,
    target_edges,
)


def mutual_information(
    activations,
    labels,
    num_classes: int | None = None,
    *,
    problem_type: str | None = None,
    target_bins: int = TARGET_BINS,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mutual information I(a; y) = H(a) - H(a | y) (eq. 2 of the paper) of each column of `activations` with the label.

    Args:
        activations (`torch.Tensor` or `numpy.ndarray` of shape `[N, K]`): Activations of K neurons over N samples.
        labels (`torch.Tensor` or `numpy.ndarray`): One of

            - `[N]` integer classes, where -100 leaves a sample out;
            - `[N, C]` soft labels, the probabilities of C classes, as floats;
            - `[N, L]` several binary labels, as bool, or as 0 and 1 of any dtype and with
              `problem_type="multi_label_classification"`;
            - `[N]` or `[N, 1]` numbers, with `problem_type="regression"`.
        num_classes (`int`, *optional*): Number of classes; the largest label plus one by default.
        problem_type (`str`, *optional*): As in a model's config. By default bool labels are several binary ones, and
            all else is a classification with one label per sample.
        target_bins (`int`, *optional*, defaults to 8): Of regression targets, the number of bins of equal mass. The
            bits are about the bin that the target is in: at most log2(target_bins).

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: bits and their standard errors, in float64, of shape `[K]`; with several
        binary labels `[L, K]`, 0 for a label that all samples have or none.

    Raises:
        `ValueError`: for empty input, shapes that do not fit, NaN or infinite activations, labels that are not what
        `problem_type` says, or labels that are all the same.

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
    activations, labels = torch.as_tensor(activations).detach(), torch.as_tensor(labels)
    shapes_fit = activations.ndim == 2 and labels.ndim in (1, 2) and len(activations) == len(labels)
    if not shapes_fit or activations.numel() == 0:
        raise ValueError(
            f"activations {tuple(activations.shape)} and labels {tuple(labels.shape)}: "
            "must be [N, K] and [N] or [N, C] with N and K of at least 1."
        )
    if problem_type is None:
        several = labels.ndim == 2 and labels.dtype == torch.bool
        problem_type = "multi_label_classification" if several else "single_label_classification"
    check_problem_type(problem_type)
    if problem_type == "multi_label_classification":
        return _with_several_labels(activations, labels)
    if problem_type == "regression":
        targets = check_targets(labels)
        check_activations(activations)
        edges = target_edges(targets, target_bins)
        return _with_classes(activations, target_classes(targets, edges), len(edges) + 1)
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
    return _with_classes(activations, labels, num_classes)


def _with_classes(
    activations: torch.Tensor, labels: torch.Tensor, num_classes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return estimate_bits(
        rank_counts(activations, labels, num_classes, num_bins(len(labels))),
        lambda neurons, bins: rank_counts(activations[:, neurons], labels, num_classes, bins),
    )


def _with_several_labels(activations: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    has, counted = binary_labels(labels)
    if not counted.all():
        activations, has = activations[counted.to(activations.device)], has[counted]
    check_activations(activations)
    varies = has.any(0) & ~has.all(0)
    if not varies.any():
        raise ValueError(
            f"Each of {has.shape[1]} label(s) is the same in all {len(has)} samples: needs one that varies."
        )
    bits, stderr = torch.zeros(2, has.shape[1], activations.shape[1], dtype=torch.float64, device=activations.device)
    for label in varies.nonzero().flatten().tolist():
        bits[label], stderr[label] = _with_classes(activations, has[:, label].long(), 2)
    return bits, stderr


def _with_soft_labels(activations: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    labels = soft_labels(labels)
    check_activations(activations)
    labels = labels.to(activations.device)
    bins = num_bins(len(labels))
    counts = rank_sums(activations, labels, bins)
    bits, stderr, _ = smoothed_information(counts, rank_sums(activations, labels.square(), bins))
    return bits.clamp(0.0, float(entropy(labels.sum(0)))), stderr
