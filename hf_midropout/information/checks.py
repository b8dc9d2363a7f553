"""What activations and labels must be, and the errors that say so."""

from __future__ import annotations

import torch


IGNORE_INDEX = -100
"""The label of a sample to leave out, as in `torch.nn.CrossEntropyLoss`."""


def check_sizes(num_neurons: int, num_classes: int) -> None:
    """`ValueError` unless there is a neuron and there are two classes."""
    if num_neurons < 1 or num_classes < 2:
        raise ValueError(
            f"num_neurons={num_neurons}, num_classes={num_classes}: needs 1 neuron and 2 classes at least."
        )


def check_batch(activations: torch.Tensor, labels: torch.Tensor, num_neurons: int) -> None:
    """`ValueError` unless `activations` are `[N, num_neurons]` and there are N labels."""
    if activations.ndim != 2 or activations.shape[1] != num_neurons or len(activations) != len(labels):
        raise ValueError(
            f"activations {tuple(activations.shape)} and labels {tuple(labels.shape)}: "
            f"must be [N, {num_neurons}] and [N]."
        )


def check_integers(labels: torch.Tensor) -> None:
    """`ValueError` unless `labels` are `[N]` integers."""
    if labels.ndim != 1 or labels.is_floating_point() or labels.dtype == torch.bool:
        raise ValueError(
            f"labels {tuple(labels.shape)} of {labels.dtype}: must be one integer class per sample, "
            "or tell another problem_type."
        )


def invalid_labels(labels: torch.Tensor, num_classes: int) -> torch.Tensor:
    """`[N]` bool: labels that are neither in 0..num_classes-1 nor -100."""
    return ((labels < 0) & (labels != IGNORE_INDEX)) | (labels >= num_classes)


def check_labels(labels: torch.Tensor, num_classes: int) -> None:
    """`ValueError` unless `labels` are `[N]` integers in 0..num_classes-1, or -100."""
    check_integers(labels)
    invalid = invalid_labels(labels, num_classes)
    if invalid.any():
        raise ValueError(
            f"{int(invalid.sum())} label(s) such as {int(labels[invalid][0])}: "
            f"must be in 0..{num_classes - 1}, or -100."
        )


def check_classes(per_class: torch.Tensor) -> int:
    """The number of samples, given that of each class; `ValueError` if there are not two classes."""
    samples, classes = int(per_class.sum()), int((per_class > 0).sum())
    if classes < 2:
        raise ValueError(
            f"Labels of {samples} samples are of {classes} class(es): needs samples of 2 classes at least."
        )
    return samples


def check_finite(nonfinite: torch.Tensor) -> None:
    """`ValueError` if any of the `[K]` numbers of NaN or infinite activations is not 0."""
    if broken := int((nonfinite > 0).sum()):
        worst = int(nonfinite.argmax())
        raise ValueError(
            f"NaN or infinite activations in {broken} of {len(nonfinite)} neurons "
            f"(neuron {worst}: {int(nonfinite[worst])} samples)."
        )


def check_activations(activations: torch.Tensor) -> None:
    """`ValueError` that tells where activations `[N, K]` are NaN or infinite."""
    # A sum is NaN or infinite if a term is, and costs a tenth of looking at each.
    if not activations.sum(dtype=torch.promote_types(activations.dtype, torch.float32)).isfinite():
        check_finite((~activations.isfinite()).sum(0))
