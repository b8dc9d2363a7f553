"""Rows of a model's embeddings: which ids its config and its positions depend on, and keeping some of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch


if TYPE_CHECKING:
    from transformers import PreTrainedModel


def positions_from(model: PreTrainedModel) -> int | None:
    """The id of padding where positions are counted from it on (RoBERTa, MPNet): it has to stay."""
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and isinstance(padding, int):
            return padding
    return None


def config_ids(config) -> list[int]:
    """Ids that a config names."""
    values = [value for name, value in config.to_dict().items() if name.endswith("_token_id")]
    flat = [number for value in values for number in (value if isinstance(value, list) else [value])]
    return [number for number in flat if isinstance(number, int)]


@torch.no_grad()
def cut_embeddings(model: PreTrainedModel, kept: Sequence[int]) -> None:
    """Keeps the rows `kept` of the embeddings, in and out, and gives the config their new numbers."""
    embeddings, output = model.get_input_embeddings(), model.get_output_embeddings()
    padding = embeddings.padding_idx
    index = torch.tensor(kept, device=embeddings.weight.device)
    tables = [embeddings.weight]
    if output is not None:
        tables += [table for table in (output.weight, output.bias) if table is not None and table is not tables[0]]
    for table in tables:
        table[: len(kept)] = table[index]
    model.resize_token_embeddings(len(kept))  # keeps the first rows
    new = {old: number for number, old in enumerate(kept)}
    model.get_input_embeddings().padding_idx = new.get(padding)
    config = model.config
    for name, value in config.to_dict().items():
        if name.endswith("_token_id") and value is not None:
            several = isinstance(value, list)
            found = [new[old] for old in (value if several else [value]) if old in new]
            setattr(config, name, found if several else found[0] if found else None)
