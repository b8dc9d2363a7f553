"""
Which components of the `tokenizers` library treat the part of a text before a space as if nothing came after it.

The space in question follows a visible ASCII character, so that no normal form, cluster of graphemes or pattern
without a space reaches over it.
"""

from __future__ import annotations

from typing import Any


CHARACTER_WISE = (
    "BertNormalizer", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "Precompiled", "Prepend", "Strip",
    "StripAccents",
)  # fmt: skip
"""Normalizers that look at characters and their combining marks, or at the two ends of a text."""
RUNS_OF_SPACES = (" {2,}", " +", r"\s+")
STRING_SPLITTERS = ("BertPreTokenizer", "ByteLevel", "Metaspace", "Whitespace", "WhitespaceSplit")
"""Pre-tokenizers that end a word before a space."""


def is_local_normalizer(settings: dict[str, Any]) -> bool:
    """Whether a normalizer with these settings neither reaches over a space nor takes spaces away."""
    if settings["type"] != "Replace":
        return settings["type"] in CHARACTER_WISE
    pattern = settings["pattern"]
    plain = pattern.get("String")
    if plain is not None and plain and not any(map(str.isspace, plain)):
        return True
    spaces = pattern.get("Regex") in RUNS_OF_SPACES or (plain is not None and plain and not plain.strip(" "))
    return bool(spaces) and settings["content"] == " "


def is_local_splitter(settings: dict[str, Any]) -> bool:
    """Whether a pre-tokenizer with these settings makes the same of the words before a space, whatever follows."""
    kind = settings["type"]
    if kind == "Metaspace":
        return settings.get("split", True) and settings["replacement"] == "▁"
    if kind == "ByteLevel":
        return settings.get("use_regex", True)
    if kind == "Punctuation":
        return settings["behavior"] in ("Isolated", "Removed", "Contiguous")
    return kind in (*STRING_SPLITTERS, "Digits")
