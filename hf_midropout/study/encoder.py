"""The encoder whose weights a study leaves as they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate import PartialState
from transformers.utils import logging

from ..checkpoints.checks import checkpoint_folder, read_json
from ..checkpoints.loading import load_checked_tokenizer
from ..hub.publishing import pull
from ..model_types import HEAD_ARCHITECTURES, stock_type
from ..models.from_checkpoint import load_with_head


@contextmanager
def new_head_is_meant() -> Iterator[None]:
    """transformers would warn that the head is new, and advise to train it."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def load_encoder(name: str, seed: int = 0, new_head: bool = False, **options: Any) -> tuple[Any, Any]:
    """
    The tokenizer and, in float32 and on this machine's first accelerator, a model with a new head on the encoder of a
    checkpoint.

    Args:
        name (`str`): A folder, or an id on the Hub.
        seed (`int`, *optional*, defaults to 0): Of what is new: the head, and a pooler that the checkpoint lacks.
        new_head (`bool`, *optional*, defaults to `False`): Refuses a checkpoint that has a MI-Dropout head.
        options (`dict`): Of `from_pretrained`, such as fields of the configuration.

    Raises:
        `ValueError`: for an architecture that no MI-Dropout head can be put on, or weights that lack a part.
        `OSError`: if there is no such checkpoint.
    """
    folder = pull(str(checkpoint_folder(name)) if os.path.exists(name) else name)
    kind = read_json(folder / "config.json").get("model_type")
    stock = stock_type(kind)
    if stock is None:
        raise ValueError(f"{name}: its model_type is {kind!r}; must be one of {', '.join(HEAD_ARCHITECTURES)}.")
    if new_head and kind != stock:
        raise ValueError(f"{name}: it has a MI-Dropout head already; give the encoder that it was made from.")
    tokenizer = load_checked_tokenizer(folder)
    with torch.random.fork_rng(devices=[]), new_head_is_meant():
        torch.manual_seed(seed)
        model, lacking = load_with_head(folder, stock, **options)
    if lacking:
        raise ValueError(f"{name}: its weights lack {len(lacking)} of the encoder's, such as {lacking[0]}.")
    return tokenizer, model.eval().to(PartialState().device)
