"""
Tokenizes the beginning of long texts only, where this gives the same tokens.

A tokenizer cuts a text to `max_length` tokens after it has made them all: of a text of 200,000 characters 0.5 seconds
go into 48,500 tokens of which 128 are kept. Most tokenizers work word by word: what they make of a text up to the
space after a word does not depend on what follows. For these a beginning is enough that fills `max_length` tokens.
Others (those that merge across spaces, cut on the left, or hold regular expressions of their own) get the whole text.
"""

from __future__ import annotations

import json
from typing import Any

from .local_words import STRING_SPLITTERS, is_local_normalizer, is_local_splitter


CHARACTERS_PER_TOKEN = 12
"""Of the first try; English has 4 to 5."""
MODELS = ("BPE", "Unigram", "WordLevel", "WordPiece")


def tokenize_texts(
    tokenizer,
    texts: list[str],
    max_length: int | None,
    word_by_word: bool,
    characters: int = CHARACTERS_PER_TOKEN,
    pairs: list[str] | None = None,
) -> dict[str, Any]:
    """
    What `tokenizer(texts, pairs, truncation=True, max_length=max_length)` gives: of pairs the longer text is cut.

    Args:
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Any.
        texts (`list[str]`): Any.
        max_length (`int`, *optional*): Tokens to cut to; those that the tokenizer says its model takes if not given.
        word_by_word (`bool`): What [`works_word_by_word`] says of the tokenizer.
        characters (`int`, *optional*, defaults to 12): Characters to begin with for each token.
        pairs (`list[str]`, *optional*): The second text of each row, where rows are pairs.
    """
    if pairs is not None:  # which of the two is cut depends on the length of both
        return dict(tokenizer(texts, pairs, truncation=True, max_length=max_length))
    limit = max_length or tokenizer.model_max_length
    size = characters * limit
    if not word_by_word or max(map(len, texts), default=0) <= size:
        return dict(tokenizer(texts, truncation=True, max_length=max_length))
    beginnings = [beginning(text, size) for text in texts]
    encoded = dict(tokenizer(beginnings, truncation=True, max_length=max_length))
    while short := [
        row
        for row, (text, part) in enumerate(zip(texts, beginnings, strict=True))
        if len(part) < len(text) and len(encoded["input_ids"][row]) < limit
    ]:
        size *= 4
        for row in short:
            beginnings[row] = beginning(texts[row], size)
        longer = tokenizer([beginnings[row] for row in short], truncation=True, max_length=max_length)
        for key, values in longer.items():
            for row, value in zip(short, values, strict=True):
                encoded[key][row] = value
    return encoded


def beginning(text: str, size: int) -> str:
    """
    `text` up to a space before `size` that follows a visible ASCII character, which no rule of Unicode joins with a
    space; all of it if there is none.
    """
    if len(text) <= size:
        return text
    place = text.rfind(" ", 0, size + 1)
    while place > 0 and not "!" <= text[place - 1] <= "~":
        place = text.rfind(" ", 0, place)
    return text[:place] if place > 0 else text


def works_word_by_word(tokenizer) -> bool:
    """Whether the first tokens of a text are those of a beginning of it that ends after a word and is long enough."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    ours = all(
        method.__module__.startswith("transformers.tokenization_utils")
        for method in (type(tokenizer).__call__, type(tokenizer)._encode_plus)
    )
    if backend is None or not ours or tokenizer.truncation_side != "right":
        return False
    if type(backend.model).__name__ not in MODELS or getattr(backend.model, "dropout", None):
        return False
    if any(any(map(str.isspace, token.content)) for token in tokenizer.added_tokens_decoder.values()):
        return False
    normalizers = _parts(backend.normalizer, "normalizers")
    splitters = _parts(backend.pre_tokenizer, "pretokenizers")
    return (
        all(map(is_local_normalizer, normalizers))
        and all(map(is_local_splitter, splitters))
        and any(splitter["type"] in STRING_SPLITTERS for splitter in splitters)
    )


def _parts(component, name: str) -> list[dict[str, Any]]:
    """The settings of a component of a tokenizer, or of the components in it."""
    if component is None:
        return []
    try:
        pending = [json.loads(component.__getstate__())]
    except Exception:  # one written in Python
        return [{"type": "unknown"}]
    parts: list[dict[str, Any]] = []
    while pending:
        settings = pending.pop(0)
        if settings["type"] == "Sequence":
            pending = settings[name] + pending
        else:
            parts.append(settings)
    return parts
