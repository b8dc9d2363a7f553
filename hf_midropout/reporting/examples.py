"""Answers of a model to a few texts, for its card. Rows of the data are never among them: they may be private."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .report import Example


if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


NEUTRAL = ["A text to classify."]
NEUTRAL_PAIR = ("The first text of a pair.", "The second text of it.")
BUILT_IN = {
    "python-docs": [
        "Opens a socket and listens for connections.",
        "Starts a thread and waits until it is done.",
        "Reads the next line of the file.",
    ]
}
"""By name of the data."""


def example_texts(data_name: str | None, pairs: bool) -> list[tuple[str, str | None]]:
    """Texts that say nothing of anyone's data."""
    if pairs:
        return [NEUTRAL_PAIR]
    return [(text, None) for text in BUILT_IN.get(data_name or "", NEUTRAL)]


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: list[tuple[str, str | None]],
) -> list[Example]:
    """What `model` answers to `texts`, as a pipeline for text classification does with `truncation=True`."""
    import torch

    from ..model_types import position_limit
    from ..scoring.inference import frozen_inference

    device = next(model.parameters()).device
    # A tokenizer may know no limit, or another one than the model's.
    limit = min(tokenizer.model_max_length, position_limit(model.config.to_dict()) or tokenizer.model_max_length)
    found = []
    with frozen_inference(model):
        for text, pair in texts:
            inputs = tokenizer(text, pair, truncation=True, max_length=limit, return_tensors="pt").to(device)
            shares = model(**inputs).logits.float().softmax(-1)[0]
            best = int(torch.argmax(shares))
            label = str(model.config.id2label[best])
            found.append(Example(text=text, text_pair=pair, label=label, score=min(float(shares[best]), 1.0)))
    return found
