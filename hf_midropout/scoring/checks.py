"""What is wrong with a model, with rows or with a batch of them, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ..utils.listing import listed
from .batches import LABEL_NAMES, Batches, FixedBatches, LoaderBatches
from .inference import inner_model
from .label_checks import check_class_values, columns_of


def check_model(model: Any) -> None:
    """`ValueError` for what is no loaded model."""
    if isinstance(model, nn.Module):
        return
    if isinstance(getattr(model, "model", None), nn.Module):
        raise ValueError(f"model is a {type(model).__name__}: give its model, as in score_neurons(x.model, ...).")
    shown = repr(str(model)) if not isinstance(model, type) else model.__name__
    raise ValueError(
        f"model={shown}: must be a loaded model (torch.nn.Module), such as what "
        "AutoModelForSequenceClassification.from_pretrained gives."
    )


def check_device(model: nn.Module) -> None:
    """`ValueError` for a model where scores and refits, which need float64, cannot be computed."""
    device = next((parameter.device for parameter in model.parameters()), None)
    if device is not None and device.type == "mps":
        raise ValueError(
            "The model is on an Apple GPU (mps), which has no float64: run this on the CPU, with "
            "TrainingArguments(use_cpu=True), model.to('cpu'), or ACCELERATE_USE_CPU=true in the environment."
        )


def check_columns(model: nn.Module, dataset: Any) -> None:
    """`ValueError` for rows of texts that were not tokenized."""
    columns = set(columns_of(dataset))
    takes = getattr(inner_model(model), "main_input_name", None)
    if takes and columns and "text" in columns and not columns & {takes, "inputs_embeds"}:
        raise ValueError(
            f"The dataset has the columns {listed(sorted(columns))} but no {takes}: tokenize it first, as in "
            "dataset.map(lambda rows: tokenizer(rows['text'], truncation=True), batched=True)."
        )


def explained(collate_fn: Callable[[list], dict[str, Any]]) -> Callable[[list], dict[str, Any]]:
    """`collate_fn`, whose errors say what it is in the items that makes no batch, where that can be told."""

    def collate(items: list) -> dict[str, Any]:
        try:
            return collate_fn(items)
        except Exception as error:
            reason = _why_no_batch(items)
            if reason is None:
                raise
            raise ValueError(reason) from error

    return collate


def _why_no_batch(items: list) -> str | None:
    if not items or not all(isinstance(item, dict) for item in items):
        return None
    for name in LABEL_NAMES:
        values = [item[name] for item in items if name in item]
        if any(isinstance(value, str) for value in values):
            shown = next(value for value in values if isinstance(value, str))
            return f"{name!r} of a row is {shown!r}: classes must be integers; map names to numbers first."
        if any(value is None for value in values):
            return f"{name!r} of a row is None: leave rows without a label out, or write -100 for it."
    for name in items[0]:
        sizes = {len(item[name]) for item in items if hasattr(item.get(name), "__len__")}
        if len(sizes) > 1:
            return (
                f"Rows have {name} of different lengths ({min(sizes)} to {max(sizes)}): give "
                "processing_class=tokenizer, which pads them, or a collate_fn."
            )
    return None


def check_batch_labels(labels: torch.Tensor, num_classes: int, problem_type: str, rows: Callable[[], list]) -> None:
    """
    `ValueError` that names the row of a batch whose class is none.

    Args:
        labels (`torch.Tensor`): Of the batch; those on a GPU are not looked at, which would make the CPU wait.
        num_classes (`int`): Of the model.
        problem_type (`str`): As in a model's config.
        rows (`Callable`): Gives the numbers of the rows in the dataset.
    """
    if problem_type != "single_label_classification" or labels.is_cuda or labels.ndim != 1:
        return
    if labels.is_floating_point() or labels.dtype == torch.bool:
        return
    values = labels.numpy()
    wrong = [place for place, value in enumerate(values.tolist()) if not (0 <= value < num_classes or value == -100)]
    if wrong:
        numbers = rows()
        row = numbers[wrong[0]] if numbers else wrong[0]
        check_class_values(values[wrong[:1]], num_classes, "the dataset" if numbers else "a batch", row)


def explain_forward(model: nn.Module, inputs: dict[str, Any]) -> str | None:
    """Why a forward pass over tokens may have failed; `None` if it cannot be told."""
    ids = inputs.get("input_ids")
    if not inputs:
        return "The rows hold nothing that the model takes: tokenize them first."
    if not isinstance(ids, torch.Tensor) or ids.numel() == 0:
        return None
    inner = inner_model(model)
    embeddings = getattr(inner, "get_input_embeddings", lambda: None)()
    size = getattr(embeddings, "num_embeddings", None)
    if size is not None and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        return (
            f"The rows hold the token {int(ids.max())}, the model has {size:,}: were they tokenized for another model?"
        )
    limit = getattr(getattr(inner, "config", None), "max_position_embeddings", None)
    if isinstance(limit, int) and ids.ndim == 2 and ids.shape[1] > limit:
        return (
            f"The rows have {ids.shape[1]:,} tokens, the model has positions for {limit:,}: tokenize with "
            f"truncation=True, max_length={limit}."
        )
    return None


def classes_of(model: nn.Module) -> int:
    """The number of classes in a model's config."""
    number = getattr(getattr(model, "config", None), "num_labels", None)
    if not isinstance(number, int):
        raise ValueError(f"num_classes=None: {type(model).__name__} has no config that tells; give the number.")
    return number


def run(model: nn.Module, inputs: dict[str, Any]) -> None:
    """A forward pass; `ValueError` where it fails over tokens that the model has no place for."""
    try:
        model(**inputs)
    except (IndexError, RuntimeError, ValueError, TypeError) as error:
        reason = explain_forward(model, inputs)
        if reason is None:
            raise
        raise ValueError(reason) from error


def rows_of(batches: Batches, number: int | None) -> list[int]:
    """The rows of the dataset that are in batch `number`; of another process's batch they are not known."""
    if isinstance(batches, FixedBatches):
        return batches.batches[number or 0].tolist()
    if isinstance(batches, LoaderBatches):
        return []
    first = (number or 0) * batches.batch_size
    return list(range(first, first + batches.batch_size))
