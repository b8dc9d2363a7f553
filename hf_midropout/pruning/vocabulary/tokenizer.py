"""A fast tokenizer with fewer tokens, renumbered, in everything that `tokenizer.json` says of them."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .needs import merges_of, vocabulary_of


if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


MODELS = ("WordPiece", "BPE", "Unigram")


def settings_of(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    The `tokenizer.json` of a tokenizer whose tokens can be told apart from how it finds them.

    Raises:
        `ValueError`: for a tokenizer written in Python, or one that is neither WordPiece, nor BPE, nor Unigram.
    """
    name, backend = type(tokenizer).__name__, getattr(tokenizer, "backend_tokenizer", None)
    if not getattr(tokenizer, "is_fast", False) or backend is None:
        raise ValueError(
            f"{name} is a slow tokenizer, written in Python: only the vocabularies of fast ones (of the tokenizers "
            "library, with a tokenizer.json) can be trimmed."
        )
    try:
        settings = json.loads(backend.to_str())
    except Exception as error:
        raise ValueError(f"{name} cannot be written as a tokenizer.json, so it cannot be trimmed: {error}") from None
    kind = settings["model"]["type"]
    if kind not in MODELS:
        raise ValueError(f"{name} is a {kind} tokenizer: vocabularies of {', '.join(MODELS)} can be trimmed.")
    return settings


def cut_settings(settings: dict[str, Any], kept: Sequence[int]) -> dict[str, Any]:
    """
    A `tokenizer.json` with the tokens `kept` only, numbered from 0 on in their order.

    Args:
        settings (`dict`): A `tokenizer.json`.
        kept (`Sequence[int]`): Ascending ids. All added tokens are among them.
    """
    new = {old: number for number, old in enumerate(kept)}
    result = {**settings, "model": dict(settings["model"])}
    model, vocabulary = result["model"], vocabulary_of(settings)
    if isinstance(model["vocab"], dict):
        model["vocab"] = {token: new[old] for token, old in vocabulary.items() if old in new}
    else:
        model["vocab"] = [entry for old, entry in enumerate(model["vocab"]) if old in new]
        if model.get("unk_id") is not None:
            model["unk_id"] = new[model["unk_id"]]
    if "merges" in model:
        model["merges"] = [
            [left, right]
            for left, right, merged in merges_of(settings)
            if all(vocabulary.get(token) in new for token in (left, right, merged))
        ]
    result["added_tokens"] = [{**token, "id": new[token["id"]]} for token in settings["added_tokens"]]
    result["post_processor"] = renumbered_template(settings.get("post_processor"), new)
    if settings.get("padding"):
        result["padding"] = {**settings["padding"], "pad_id": new.get(settings["padding"]["pad_id"], 0)}
    return result


def renumbered_template(processor: dict[str, Any] | None, new: Mapping[int, int]) -> dict[str, Any] | None:
    """A post-processor of a `tokenizer.json` with the ids that `new` gives for those in it."""
    if not processor:
        return processor
    result = copy.deepcopy(processor)
    for key in ("cls", "sep"):
        if result.get(key):
            result[key][1] = new[result[key][1]]
    for token in (result.get("special_tokens") or {}).values():
        token["ids"] = [new[number] for number in token["ids"]]
    if "processors" in result:
        result["processors"] = [renumbered_template(part, new) for part in result["processors"]]
    return result


def cut_tokenizer(tokenizer: PreTrainedTokenizerBase, kept: Sequence[int]) -> PreTrainedTokenizerBase:
    """
    A tokenizer of the same class with the tokens `kept` only.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): A fast one.
        kept (`Sequence[int]`): Ascending ids, closed in the sense of [`needed_ids`] and [`with_ancestors`].

    Raises:
        `ValueError`: if the class does not load what was cut as it is.
    """
    expected = {tokenizer.convert_ids_to_tokens(old): number for number, old in enumerate(kept)}
    with tempfile.TemporaryDirectory() as folder:
        # Through files, as a class may hold more than its tokenizer.json, and must load the result anyway.
        tokenizer.save_pretrained(folder)
        settings = cut_settings(settings_of(tokenizer), kept)
        (Path(folder) / "tokenizer.json").write_text(json.dumps(settings, ensure_ascii=False), encoding="utf-8")
        result = type(tokenizer).from_pretrained(folder)
    result.name_or_path = result.init_kwargs["name_or_path"] = tokenizer.name_or_path
    if result.get_vocab() != expected:
        raise ValueError(f"{type(tokenizer).__name__} numbers tokens in a way of its own: it cannot be trimmed.")
    return result
