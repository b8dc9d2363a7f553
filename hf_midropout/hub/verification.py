"""Proof that what is on the Hub is what was pushed: pulled into an empty cache, compared, loaded, and tried."""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch

from ..checkpoints.loading import load_checked_model, load_checked_tokenizer, loading
from ..scoring.inference import frozen_inference
from ..utils.hub_errors import HubError
from ..utils.tokenizer_files import VOCABULARY_FILES
from .contents import sha256_of
from .publishing import Published, pull


TEXTS = ["Opens a socket and listens for connections.", "", "A longer text, of two sentences. It has, too: 42 signs?!"]


def verify_published(folder: Path, published: Published, *, token: str | None = None, atol: float = 0.0) -> float:
    """
    Pulls every file of `published` at its commit, compares its SHA-256 with that of what was sent, and compares token
    ids, labels and logits of what arrived with those of `folder`.

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
    where = f"{published.url} at {published.commit[:10]}"
    with tempfile.TemporaryDirectory(prefix="hf_midropout.") as cache:
        arrived = pull(
            published.repo_id, revision=published.commit, token=token, cache_dir=cache, no_pickles=True,
            also=tuple(published.digests),
        )  # fmt: skip
        compare_files(arrived, published.digests, where)
        there, ids_there, labels_there = answers(arrived)
    here, ids_here, labels_here = answers(folder)
    if ids_here != ids_there:
        raise HubError(f"{where} does not tokenize as {folder} does.")
    if labels_here != labels_there:
        raise HubError(f"{where} has other labels than {folder}.")
    difference = float((here - there).abs().max()) if here.shape == there.shape else float("inf")
    if not difference <= atol:
        raise HubError(f"{where}: logits differ from {folder}'s by {difference:.1e}.")
    return difference


def compare_files(arrived: Path, digests: dict[str, str], where: str) -> None:
    """[`HubError`] if a file is missing in `arrived`, or is not the one of `digests` (SHA-256 by name)."""
    missing = [name for name in digests if not (arrived / name).is_file()]
    if missing:
        raise HubError(f"{where} lacks {', '.join(missing[:5])}, which was sent.")
    other = [name for name, digest in digests.items() if sha256_of(arrived / name) != digest]
    if other:
        raise HubError(f"{where}: {', '.join(other[:5])} is not what was sent.")


def answers(folder: Path) -> tuple[torch.Tensor, list | None, dict[int, str]]:
    """Logits and ids of a few texts, or of token ids without a tokenizer, and labels of the checkpoint in `folder`."""
    model = load_checked_model(folder)
    ids = None
    length = min(64, getattr(model.config, "max_position_embeddings", 64))
    inputs = {"input_ids": torch.arange(4 * length).reshape(4, length) % model.config.vocab_size}
    if any((folder / name).is_file() for name in VOCABULARY_FILES):
        tokenizer = load_checked_tokenizer(folder)
        encoded = tokenizer(TEXTS, padding=True, truncation=True, max_length=length, return_tensors="pt")
        ids, inputs = encoded["input_ids"].tolist(), dict(encoded)
    with loading(folder), frozen_inference(model):
        return model(**inputs).logits.float(), ids, dict(model.config.id2label)
