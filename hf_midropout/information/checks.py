"""What activations and labels must be, and the errors that say so."""

from __future__ import annotations

import numpy as np
import torch


IGNORE_INDEX = -100
"""The label of a sample to leave out, as in `torch.nn.CrossEntropyLoss`."""
PACKED = (torch.float4_e2m1fn_x2,) if hasattr(torch, "float4_e2m1fn_x2") else ()
"""Types of several numbers in one element, which torch converts to no other."""
EXACT_IN_FLOAT64 = (torch.int32, torch.int64, torch.uint32, torch.uint64)


def check_sizes(num_neurons: int, num_classes: int) -> None:
    """`ValueError` unless there is a neuron and there are two classes."""
    if num_neurons < 1 or num_classes < 2:
        raise ValueError(
            f"num_neurons={num_neurons}, num_classes={num_classes}: needs 1 neuron and 2 classes at least."
        )


def as_tensor(values, name: str) -> torch.Tensor:
    """A tensor of what a caller gave, an array of whatever byte order and strides; `ValueError` for no numbers."""
    if not isinstance(values, torch.Tensor):
        values = np.asarray(values)
        if values.dtype.kind == "f" and values.dtype.itemsize > 8:
            values = values.astype(np.float64)
        if values.dtype.kind not in "biufc":
            raise ValueError(f"{name} of {values.dtype}: must be numbers.")
        if not values.dtype.isnative:
            values = values.astype(values.dtype.newbyteorder("="))
        if not values.flags.writeable or any(stride < 0 for stride in values.strides):
            values = values.copy()
        values = torch.from_numpy(values)
    return values.detach() if values.requires_grad else values


def check_numbers(activations: torch.Tensor) -> None:
    """`ValueError` for activations that are complex, sparse, nested, quantized or packed, or have no values."""
    if activations.is_complex():
        raise ValueError(f"activations of {activations.dtype}: must be real numbers; give their abs(), for instance.")
    packed = activations.is_quantized or activations.dtype in PACKED
    if activations.layout == torch.strided and not (packed or activations.is_nested or activations.is_meta):
        return
    if activations.is_nested:
        kind = "a nested tensor"
    elif activations.is_meta:
        kind = "the meta device"
    else:
        kind = str(activations.dtype if packed else activations.layout)
    raise ValueError(f"activations of {kind}: must be a dense tensor of real numbers.")


def widened(activations: torch.Tensor) -> torch.Tensor:
    """float32 or wider: half precision is too coarse to place edges between its values, integers are kept exactly."""
    if activations.dtype in EXACT_IN_FLOAT64:
        return activations.to(torch.float64)
    if activations.element_size() == 1:  # of float8 types no promotion is known
        return activations.to(torch.float32)
    return activations.to(torch.promote_types(activations.dtype, torch.float32))


def check_batch(activations: torch.Tensor, labels: torch.Tensor, num_neurons: int) -> None:
    """`ValueError` unless `activations` are `[N, num_neurons]` real numbers and there are N labels."""
    check_numbers(activations)
    if activations.ndim != 2 or activations.shape[1] != num_neurons or activations.shape[:1] != labels.shape[:1]:
        raise ValueError(
            f"activations {tuple(activations.shape)} and labels {tuple(labels.shape)}: "
            f"must be [N, {num_neurons}] and [N]."
        )


def check_integers(labels: torch.Tensor) -> None:
    """`ValueError` unless `labels` are `[N]` integers."""
    not_integers = labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool
    if labels.ndim != 1 or not_integers:
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
    labels = labels.long()  # of uint16 to uint64 torch compares none
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


def check_class_numbers(labels: torch.Tensor) -> int:
    """
    The number of classes of `[N]` labels, the largest plus one; `ValueError` if it is more than there are rows: tables
    would be made of classes that no row has.
    """
    check_integers(labels)
    largest = int(labels.long().max())
    if largest >= max(len(labels), 2):
        raise ValueError(
            f"label {largest} in {len(labels)} rows: classes must be numbered from 0 on. Number them with "
            "torch.unique(labels, return_inverse=True), or give num_classes if there are so many."
        )
    return max(largest + 1, 2)


def check_groups(groups, rows: int) -> torch.Tensor | None:
    """`[N]` int64 numbers of groups, if any are given; `ValueError` for another shape or what is no integer."""
    if groups is None:
        return None
    groups = as_tensor(groups, "groups")
    if groups.ndim != 1 or len(groups) != rows or groups.is_floating_point() or groups.is_complex():
        raise ValueError(
            f"groups {tuple(groups.shape)} of {groups.dtype}: must be one integer for each of {rows} rows."
        )
    return groups.long()
