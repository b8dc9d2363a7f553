"""Whether a tokenizer fits a model and the texts of a training."""

from __future__ import annotations


SAMPLE_TEXTS = 200
SAMPLE_CHARACTERS = 2_000
SAMPLE_TOKENS = 512
MOST_UNKNOWN = 0.5


def sample_of_texts(data) -> list[str]:
    """Some training texts; of pairs of both kinds."""
    rows = data.splits["train"][:SAMPLE_TEXTS]
    return [text for name in ("text", "text_pair") for text in rows.get(name, [])]


def check_tokenizer(named: str, tokenizer, vocab_size: int) -> None:
    """`ValueError` if `tokenizer` cannot be the one that a model with `vocab_size` embeddings was trained with."""
    known = len(tokenizer)
    if known > vocab_size:
        raise ValueError(f"{named}: its tokenizer knows {known:,} tokens, the model {vocab_size:,} embeddings.")
    special = len(set(tokenizer.all_special_ids))
    if known < vocab_size / 2 or known <= special:
        raise ValueError(
            f"{named}: its tokenizer knows {known:,} tokens, {special} of them special, but the model has "
            f"{vocab_size:,} embeddings: it is not the tokenizer of that model."
        )
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{named}: its tokenizer has no token for padding.")


def check_texts(named: str, tokenizer, texts: list[str]) -> None:
    """`ValueError` if most of the beginnings of a sample of texts, by characters, is unknown to `tokenizer`."""
    if tokenizer.unk_token_id is None or not tokenizer.is_fast:
        return
    encoded = tokenizer(
        [text[:SAMPLE_CHARACTERS] for text in texts], add_special_tokens=False, return_offsets_mapping=True,
        truncation=True, max_length=SAMPLE_TOKENS,
    )  # fmt: skip
    unknown = total = 0
    for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        for token, (begin, end) in zip(ids, offsets, strict=True):
            total += end - begin
            unknown += (end - begin) * (token == tokenizer.unk_token_id)
    if total and unknown / total > MOST_UNKNOWN:
        raise ValueError(
            f"{named}: {unknown / total:.0%} of the characters of {len(texts)} training texts are unknown to its "
            "tokenizer: it is for another language, or incomplete."
        )
