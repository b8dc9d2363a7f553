"""Proof that what is on the Hub is what was pushed: pulled into an empty cache, loaded, and compared."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from .hub import Published, pull
from .hub_errors import HubError
from .inference import frozen_inference


TEXTS = ["Opens a socket and listens for connections.", "", "A longer text, of two sentences. It has, too: 42 signs?!"]


def verify_published(folder: Path, published: Published, *, token: str | None = None, atol: float = 0.0) -> float:
    """
    Pulls `published` at its commit and compares token ids and logits with those of `folder`.

    Args:
        folder (`Path`): What was pushed.
        published ([`Published`]): What `push` gave.
        token (`str`, *optional*): Token with read access; that of `hf auth login` or `HF_TOKEN` if not given.
        atol (`float`, *optional*, defaults to 0.0): Largest absolute difference of a logit.

    Returns:
        `float`: the largest absolute difference of a logit.

    Raises:
        [`HubError`]: if it cannot be pulled, or is not the same.
        `ValueError`: if what arrived is refused by [`check_checkpoint`], pickles included.
    """
    with tempfile.TemporaryDirectory(prefix="hf_midropout.") as cache:
        arrived = pull(published.repo_id, revision=published.commit, token=token, cache_dir=cache, no_pickles=True)
        there, ids_there = _logits(arrived)
        here, ids_here = _logits(folder)
    if ids_here != ids_there:
        raise HubError(f"{published.url} at {published.commit[:10]} does not tokenize as {folder} does.")
    difference = float((here - there).abs().max()) if here.shape == there.shape else float("inf")
    if not difference <= atol:
        raise HubError(
            f"{published.url} at {published.commit[:10]}: logits differ from {folder}'s by {difference:.1e}."
        )
    return difference


def _logits(folder: Path) -> tuple[torch.Tensor, list | None]:
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=False)
    ids = None
    length = min(64, getattr(model.config, "max_position_embeddings", 64))
    inputs = {"input_ids": torch.arange(4 * length).reshape(4, length) % model.config.vocab_size}
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        encoded = tokenizer(TEXTS, padding=True, truncation=True, max_length=length, return_tensors="pt")
        ids, inputs = encoded["input_ids"].tolist(), dict(encoded)
    with frozen_inference(model):
        return model(**inputs).logits.float(), ids
