"""A classifier with a MI-Dropout head from a checkpoint of its architecture, stock or our own."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from ..model_types import HEAD_ARCHITECTURES, module_name


def load_with_head(folder: Path, stock: str, **options: Any) -> tuple[Any, list[str]]:
    """
    Args:
        folder (`Path`): With the checkpoint.
        stock (`str`): A key of `HEAD_ARCHITECTURES`, the architecture of the checkpoint.
        options (`dict`): Of `from_pretrained`.

    Returns:
        `tuple`: the model, in float32, as checkpoints in half precision would otherwise train in it; and the names of
        the encoder's weights that the checkpoint lacks, sorted. A pooler is none of them: many have none.
    """
    row = HEAD_ARCHITECTURES[stock]
    module = import_module(f".{module_name(stock)}", __package__)
    model, found = getattr(module, f"MIDropout{row.classes}ForSequenceClassification").from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, **options
    )
    encoder = f"{row.encoder}."
    return model, sorted(name for name in found["missing_keys"] if name.startswith(encoder) and ".pooler." not in name)
