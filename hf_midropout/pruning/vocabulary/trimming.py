"""
Trims the vocabulary of a classifier: rows of its embeddings that no token of some texts needs are cut, and tokenizer
and config renumbered. Any text can still be tokenised; where all its tokens are kept, nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .embedding_rows import config_ids, cut_embeddings, positions_from
from .needs import needed_ids, with_ancestors
from .tokenizer import cut_tokenizer, settings_of


if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


CHUNK = 1000
"""Texts that are tokenised at once."""


@dataclass(frozen=True)
class VocabularyTrimming:
    """
    What trimming a vocabulary did, and what it costs on texts that it was not made for.

    Args:
        tokens_before, tokens_after (`int`): Rows of the embeddings.
        texts (`int`): Texts whose tokens were kept.
        held_out (`int`): Other texts that both tokenizers were compared on, whole.
        identical (`float`): Share of these whose tokens are the same.
        length_ratio (`float`): Their tokens in the trimmed vocabulary, for each in the whole one.
        new_unknown (`int`): Tokens of these that are unknown now, more than before.
    """

    tokens_before: int
    tokens_after: int
    texts: int
    held_out: int = 0
    identical: float = 1.0
    length_ratio: float = 1.0
    new_unknown: int = 0

    def __str__(self) -> str:
        line = f"Vocabulary: {self.tokens_before:,} -> {self.tokens_after:,} tokens, by {self.texts:,} texts."
        if not self.held_out:
            return line
        line += (
            f" Of {self.held_out:,} other texts {self.identical:.1%} have the same tokens as before; all have "
            f"{self.length_ratio:.3f} times as many."
        )
        return line + (f" {self.new_unknown:,} tokens more are unknown." if self.new_unknown > 0 else "")


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """
    The `tokenizer.json` of a tokenizer that can be trimmed together with `model`.

    Raises:
        `ValueError`: for a tokenizer that cannot be trimmed, or that does not go with the model.
    """
    settings = settings_of(tokenizer)
    rows, ids = model.get_input_embeddings().weight.shape[0], set(tokenizer.get_vocab().values())
    if max(ids) >= rows:
        raise ValueError(
            f"The tokenizer has ids up to {max(ids):,}, the model {rows:,} rows of embeddings: the vocabulary cannot "
            "be trimmed."
        )
    padding = positions_from(model)
    missing = [number for number in range(padding + 1) if number not in ids] if padding is not None else []
    if missing:
        raise ValueError(
            f"The model counts positions from id {padding:,} on, and the tokenizer has no token {missing[0]:,}: the "
            "vocabulary cannot be trimmed without moving them."
        )
    return settings


def trim_vocabulary(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    held_out: Sequence[str] = (),
) -> tuple[PreTrainedTokenizerBase, VocabularyTrimming]:
    """
    Keeps the tokens that occur in `texts`, special and added ones, and what it takes to tokenise any other text:
    single characters or bytes, and what pieces are merged from. The model is changed in place.

    On a text whose tokens are all kept, the tokens and the logits are those of before. Another text gets more and
    shorter tokens, and no new unknown one (as long as each character in the vocabulary is a token by itself too, which
    trainers of tokenizers see to).

    Args:
        model ([`~transformers.PreTrainedModel`]): Any with embeddings of tokens; on one device.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Its tokenizer, a fast one.
        texts (`Sequence[str]`): What the vocabulary is for. They are read whole.
        held_out (`Sequence[str]`, *optional*): Other texts, to measure what it costs.

    Returns:
        `tuple[PreTrainedTokenizerBase, VocabularyTrimming]`: the smaller tokenizer, and what was done.

    Raises:
        `ValueError`: as [`check_vocabulary`].
    """
    settings = check_vocabulary(model, tokenizer)
    ids = set(tokenizer.get_vocab().values())
    kept = needed_ids(settings) | set(config_ids(model.config)) | set(tokenizer.all_special_ids)
    padding = positions_from(model)
    kept |= set() if padding is None else set(range(padding + 1))
    for rows in token_ids(tokenizer, texts):
        kept.update(*rows)
    order = sorted(with_ancestors(settings, kept & ids))
    smaller = cut_tokenizer(tokenizer, order)
    before = model.get_input_embeddings().weight.shape[0]
    cut_embeddings(model, order)
    return smaller, compare(tokenizer, smaller, len(texts), held_out, (before, len(order)))


def token_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Iterator[list[list[int]]]:
    """Ids of `texts`, whole and without special tokens, many at a time."""
    for start in range(0, len(texts), CHUNK):
        chunk = list(texts[start : start + CHUNK])
        yield tokenizer(chunk, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]


def compare(
    whole: PreTrainedTokenizerBase,
    smaller: PreTrainedTokenizerBase,
    texts: int,
    held_out: Sequence[str],
    sizes: tuple[int, int],
) -> VocabularyTrimming:
    """How `smaller` tokenises `held_out` next to `whole`."""
    if not len(held_out):
        return VocabularyTrimming(*sizes, texts)
    same = tokens_before = tokens_after = unknown = 0
    both = zip(token_ids(whole, held_out), token_ids(smaller, held_out), strict=True)
    for before, after in (pair for chunks in both for pair in zip(*chunks, strict=True)):
        same += whole.convert_ids_to_tokens(before) == smaller.convert_ids_to_tokens(after)
        tokens_before, tokens_after = tokens_before + len(before), tokens_after + len(after)
        unknown += after.count(smaller.unk_token_id) - before.count(whole.unk_token_id)
    share = same / len(held_out)
    return VocabularyTrimming(*sizes, texts, len(held_out), share, tokens_after / max(tokens_before, 1), unknown)
