"""Which tokens a trimmed vocabulary needs beside those that occur: with these any text is tokenised as before."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any


BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
"""A piece that stands for a byte where a character has no piece."""


def vocabulary_of(settings: dict[str, Any]) -> dict[str, int]:
    """Ids by token: of the model in `settings`, which are a `tokenizer.json`, without tokens that were only added."""
    vocabulary = settings["model"]["vocab"]
    if isinstance(vocabulary, dict):
        return vocabulary
    return {piece: number for number, (piece, _) in enumerate(vocabulary)}


def needed_ids(settings: dict[str, Any]) -> set[int]:
    """
    Ids of special and added tokens, of those that a text is put between, of single characters, and of all else that
    decides what becomes of a rare character.

    Args:
        settings (`dict`): A `tokenizer.json`.
    """
    model, vocabulary = settings["model"], vocabulary_of(settings)
    added = {token["content"] for token in settings["added_tokens"]}
    needed = {token["id"] for token in settings["added_tokens"]}
    needed |= {number for number in template_ids(settings.get("post_processor")) if number is not None}
    if settings.get("padding"):
        needed.add(settings["padding"]["pad_id"])
    if model.get("unk_token") in vocabulary:
        needed.add(vocabulary[model["unk_token"]])
    prefix, suffix = model.get("continuing_subword_prefix") or "", model.get("end_of_word_suffix") or ""
    pieces = [piece for piece in vocabulary if piece not in added]
    singles = {piece for piece in pieces if len(bare(piece, prefix, suffix)) == 1}
    needed |= {vocabulary[piece] for piece in pieces if piece in singles or BYTE.fullmatch(piece)}
    if model["type"] == "Unigram" and pieces:
        # The lowest score sets that of an unknown character.
        lowest = min(pieces, key=lambda piece: (model["vocab"][vocabulary[piece]][1], vocabulary[piece]))
        needed.add(vocabulary[lowest])
        # Some of transformers' classes take it for granted which id the unknown token has.
        needed |= set(range((model["unk_id"] or 0) + 1))
    if model["type"] != "BPE" or model.get("ignore_merges"):
        # Elsewhere merges begin with single characters. Trainers make a piece of each, but vocabularies get edited.
        needed |= {vocabulary[piece] for piece in pieces if has_character_alone_in_it(piece, singles, prefix, suffix)}
    return needed


def bare(piece: str, prefix: str, suffix: str) -> str:
    """`piece` without what marks it as going on, or ending, a word."""
    if prefix and piece.startswith(prefix) and piece != prefix:
        piece = piece[len(prefix) :]
    return piece[: -len(suffix)] if suffix and piece.endswith(suffix) and piece != suffix else piece


def has_character_alone_in_it(piece: str, singles: set[str], prefix: str, suffix: str) -> bool:
    """Whether `piece` holds a character that is no piece by itself at that place of a word."""
    characters = bare(piece, prefix, suffix)
    goes_on = bool(prefix) and characters != piece
    for place, character in enumerate(characters):
        alone = prefix + character if place or goes_on else character
        if alone not in singles and alone + suffix not in singles:
            return True
    return False


def with_ancestors(settings: dict[str, Any], ids: Iterable[int]) -> set[int]:
    """`ids` and, where pieces are made by merges, all that they are merged from."""
    kept = set(ids)
    if settings["model"]["type"] != "BPE":
        return kept
    vocabulary = vocabulary_of(settings)
    parents: dict[int, list[int]] = {}
    for left, right, merged in merges_of(settings):
        if left in vocabulary and right in vocabulary and merged in vocabulary:
            parents.setdefault(vocabulary[merged], []).extend((vocabulary[left], vocabulary[right]))
    pending = list(kept)
    while pending:
        for parent in parents.get(pending.pop(), ()):
            if parent not in kept:
                kept.add(parent)
                pending.append(parent)
    return kept


def merges_of(settings: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Both parts of each merge and what it makes, the first merge first."""
    prefix = settings["model"].get("continuing_subword_prefix") or ""
    for merge in settings["model"]["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        yield left, right, left + right[len(prefix) :]


def template_ids(processor: dict[str, Any] | None) -> list[int | None]:
    """Ids of the tokens that a post-processor of a `tokenizer.json` puts around a text."""
    if not processor:
        return []
    ids = [pair[1] for key in ("cls", "sep") if (pair := processor.get(key))]
    special = processor.get("special_tokens") or {}
    ids += [number for token in special.values() for number in token["ids"]]
    return ids + [number for part in processor.get("processors", ()) for number in template_ids(part)]
