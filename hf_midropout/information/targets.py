"""Labels that are not one class per sample: several binary labels, soft labels, or a number."""

from __future__ import annotations

import torch

from .checks import IGNORE_INDEX


PROBLEM_TYPES = ("single_label_classification", "multi_label_classification", "regression")
"""As in `PreTrainedConfig.problem_type`."""
TARGET_BINS = 8


def check_problem_type(problem_type: str) -> None:
    """`ValueError` unless it is one of transformers' problem types."""
    if problem_type not in PROBLEM_TYPES:
        raise ValueError(f"problem_type={problem_type!r}: must be one of {', '.join(map(repr, PROBLEM_TYPES))}.")


def binary_labels(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """
    Args:
        labels (`torch.Tensor` of shape `[N, L]`): 0 or 1 of any dtype; rows of -100 are to be left out.

    Returns:
        `tuple[torch.Tensor, torch.Tensor]`: `[N, L]` bool, which labels a sample has, and `[N]` bool, which samples
        count.

    Raises:
        `ValueError`: for another shape, and for values that are neither.
    """
    if labels.ndim != 2 or labels.shape[1] == 0:
        raise ValueError(f"labels {tuple(labels.shape)}: several binary labels must be [N, L], L of at least 1.")
    ignored = (labels == IGNORE_INDEX).all(1)
    wrong = (labels != 0) & (labels != 1) & ~ignored[:, None]
    if wrong.any():
        raise ValueError(
            f"{int(wrong.sum())} label(s) such as {labels[wrong][0].item():g}: binary labels must be 0 or 1, or -100 "
            "in a whole row."
        )
    return labels == 1, ~ignored


def soft_labels(labels: torch.Tensor) -> torch.Tensor:
    """`[N, C]` float64 of `[N, C]` probabilities; `ValueError` for rows that are not at least 0 and add up to 1."""
    if labels.ndim != 2 or not labels.is_floating_point():
        raise ValueError(
            f"labels {tuple(labels.shape)} of {labels.dtype}: soft labels must be floats, [N, C]; of several binary "
            "labels tell problem_type='multi_label_classification'."
        )
    labels = labels.to(torch.float64)
    right = (labels >= 0).all(1) & ((labels.sum(1) - 1).abs() <= 1e-3)
    if wrong := int((~right).sum()):
        raise ValueError(
            f"labels {tuple(labels.shape)}: rows of soft labels must be at least 0 and add up to 1, "
            f"but {wrong} do not. Of several binary labels tell problem_type='multi_label_classification'."
        )
    return labels / labels.sum(1, keepdim=True)


def check_targets(targets: torch.Tensor) -> torch.Tensor:
    """`[N]` float64 of `[N]` or `[N, 1]` real `targets`; `ValueError` for another shape, NaN or infinite ones."""
    if targets.ndim == 2 and targets.shape[1] == 1:
        targets = targets[:, 0]
    if targets.ndim != 1:
        raise ValueError(
            f"labels {tuple(targets.shape)}: regression targets must be one number per sample, [N] or [N, 1]. "
            "Score several targets one by one."
        )
    if targets.is_complex():
        raise ValueError(f"labels of {targets.dtype}: regression targets must be real numbers.")
    targets = targets.to(torch.float64)
    if broken := int((~targets.isfinite()).sum()):
        raise ValueError(f"{broken} of {len(targets)} regression targets are NaN or infinite.")
    return targets


def target_edges(targets: torch.Tensor, bins: int) -> torch.Tensor:
    """
    Inner edges of at most `bins` bins of nearly equal mass; equal targets fall into one bin.

    Args:
        targets (`torch.Tensor` of shape `[N]`): Finite targets.
        bins (`int`): Number of bins, 2 or more.

    Raises:
        `ValueError`: for fewer than 2 bins or if all targets are equal.
    """
    if bins < 2:
        raise ValueError(f"target_bins={bins}: must be 2 or more.")
    ordered = targets.sort().values
    if len(ordered) == 0 or ordered[0] == ordered[-1]:
        shown = f"are {ordered[0].item():g}" if len(ordered) else "are none"
        raise ValueError(f"All {len(ordered)} regression targets {shown}: needs 2 values at least.")
    edges = ordered[torch.arange(1, bins, device=ordered.device) * len(ordered) // bins].unique()
    # Where the lowest value fills the first bins, the bin begins above it; else it would be empty.
    edges = edges[edges > ordered[0]]
    return edges if len(edges) else ordered[ordered > ordered[0]][:1]


def target_classes(targets: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """`[N]` number of the bin of each target, between inner `edges`."""
    return torch.bucketize(targets, edges, right=True)
