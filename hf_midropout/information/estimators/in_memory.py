"""Mutual information of activations that are in memory."""

from __future__ import annotations

import torch

from ..checks import (
    IGNORE_INDEX,
    as_tensor,
    check_activations,
    check_class_numbers,
    check_classes,
    check_groups,
    check_labels,
    check_numbers,
    check_sizes,
    widened,
)
from ..estimation.by_rank import class_information, soft_label_information
from ..targets import (
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
    groups=None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Mutual information I(a; y) = H(a) - H(a | y) (eq. 2 of the paper) of each column of `activations` with the label.

    Rows that are given more than once, to repeat a rare class for instance, weigh as often as they are given in the
    shares of the classes and in the bits, but are no independent evidence: copies are left out together where a label
    is predicted from the other samples, and count once in the standard error. By default rows are copies if all their
    activations are equal to the last bit and take four different values at least, so that dead or discrete neurons
    are not mistaken for copies; with `groups`, rows of one group are. A row that makes up more than a 64th of all
    samples and comes with several labels, such as that of an empty text, is no copy but a value that inputs often
    take; and if such frequent rows make up 15 in 16 samples, inputs are discrete, and none of these is a copy.

    Beside the activations, it takes the memory of the activations of one block of neurons, twice, and of its tables,
    about 1 GB in all: a block is 2^24 cells of (neuron, bin, class), 16,384 neurons of 4 classes and 256 bins.

    Args:
        activations (`torch.Tensor` or `numpy.ndarray` of shape `[N, K]`): Activations of K neurons over N samples.
        labels (`torch.Tensor` or `numpy.ndarray`): One of

            - `[N]` integer classes, where -100 leaves a sample out;
            - `[N, C]` soft labels, the probabilities of C classes, as floats;
            - `[N, L]` several binary labels, as bool, or as 0 and 1 of any dtype and with
              `problem_type="multi_label_classification"`;
            - `[N]` or `[N, 1]` numbers, with `problem_type="regression"`.
        num_classes (`int`, *optional*): Number of classes; by default the largest label plus one, which may not be
            more than there are rows.
        problem_type (`str`, *optional*): As in a model's config. By default bool labels are several binary ones, and
            all else is a classification with one label per sample.
        target_bins (`int`, *optional*, defaults to 8): Of regression targets, the number of bins of equal mass. The
            bits are about the bin that the target is in: at most log2(target_bins).
        groups (`torch.Tensor` or `numpy.ndarray` of shape `[N]`, *optional*): An integer for each sample, the same for
            samples that are copies of one row. Needed if copies differ in the last bits, of which those of one are
            then taken, or if there are fewer than 4 neurons. Not for samples that are merely related.

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
    activations, labels = as_tensor(activations, "activations"), as_tensor(labels, "labels")
    check_numbers(activations)
    if activations.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        activations = widened(activations)
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
    copies_of = check_groups(groups, len(labels))
    if problem_type == "multi_label_classification":
        return _with_several_labels(activations, labels, copies_of)
    if problem_type == "regression":
        targets = check_targets(labels)
        check_activations(activations)
        edges = target_edges(targets, target_bins)
        return class_information(activations, target_classes(targets, edges), copies_of)
    if labels.ndim == 2:
        labels = soft_labels(labels)
        check_activations(activations)
        return soft_label_information(activations, labels.to(activations.device), copies_of)
    if num_classes is None:
        num_classes = check_class_numbers(labels)
    check_sizes(activations.shape[1], num_classes)
    check_labels(labels, num_classes)
    labels = labels.long()
    kept = labels != IGNORE_INDEX
    if not kept.all():
        activations, labels, copies_of = _only(kept, activations, labels, copies_of)
    check_activations(activations)
    check_classes(labels.unique(return_counts=True)[1])
    return class_information(activations, labels, copies_of)


def _only(kept: torch.Tensor, activations: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor | None):
    """The rows of each that are `kept`."""
    chosen = None if groups is None else groups[kept.to(groups.device)]
    return activations[kept.to(activations.device)], labels[kept], chosen


def _with_several_labels(
    activations: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    has, counted = binary_labels(labels)
    if not counted.all():
        activations, has, groups = _only(counted, activations, has, groups)
    check_activations(activations)
    varies = has.any(0) & ~has.all(0)
    if not varies.any():
        raise ValueError(
            f"Each of {has.shape[1]} label(s) is the same in all {len(has)} samples: needs one that varies."
        )
    bits, stderr = torch.zeros(2, has.shape[1], activations.shape[1], dtype=torch.float64, device=activations.device)
    for label in varies.nonzero().flatten().tolist():
        bits[label], stderr[label] = class_information(activations, has[:, label].long(), groups)
    return bits, stderr
