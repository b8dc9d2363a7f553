"""A tiny ALBERT and its tokenizer, made on the spot: what `hf-midropout train` uses when no model is named."""

from __future__ import annotations

from collections.abc import Iterable

from transformers import AlbertTokenizer

from .configuration_midropout_albert import MIDropoutAlbertConfig
from .modeling_midropout_albert import MIDropoutAlbertForSequenceClassification


SPECIAL_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(texts: Iterable[str], vocab_size: int = 4000, max_length: int = 128) -> AlbertTokenizer:
    """An ALBERT tokenizer (Unigram) of at most `vocab_size` pieces, trained on `texts`."""
    untrained = AlbertTokenizer(vocab=[(token, 0.0) for token in SPECIAL_TOKENS])
    tokenizer = untrained.train_new_from_iterator(texts, vocab_size=vocab_size, show_progress=False)
    tokenizer.model_max_length = max_length
    return tokenizer


def tiny_model(
    tokenizer: AlbertTokenizer, label_names: list[str], **head
) -> MIDropoutAlbertForSequenceClassification:
    """A randomly initialised ALBERT of two layers with 128 units, for `tokenizer` and those labels; `head` options."""
    return MIDropoutAlbertForSequenceClassification(
        MIDropoutAlbertConfig(
            vocab_size=len(tokenizer),
            embedding_size=64,
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=256,
            max_position_embeddings=tokenizer.model_max_length,
            initializer_range=0.08,  # 1 / sqrt(hidden_size): 0.02 suits wide models and leaves this one slow to start
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            id2label=dict(enumerate(label_names)),
            label2id={name: index for index, name in enumerate(label_names)},
            **head,
        )
    )
