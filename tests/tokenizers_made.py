"""Tiny fast tokenizers of every kind that can be trimmed, trained on the spot, with a classifier for each."""

import json

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AlbertTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    RobertaConfig,
    RobertaForSequenceClassification,
    RobertaTokenizer,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaTokenizer,
)


TEXTS = [
    "the goalkeeper saved the penalty in the last minute of the match",
    "the market opened lower as traders sold banking stocks",
    "a striker scored twice, and the stadium was singing: 3:2!",
    "prices of crude oil rose by 4.5% on Monday; naïve forecasts failed",
    "researchers measured quasars and neutrinos beyond the galaxy",
    "coaches unhappily unhappiest opening openings scoring scorers",
]
OTHERS = ["the trader saved the stadium", "minute forecasts: crude, oily pricing", "unhappy galaxies opened"]
SIZES = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
    "max_position_embeddings": 80, "num_labels": 3,
}  # fmt: skip


def wordpiece():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.train_from_iterator(
        TEXTS + OTHERS, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    )
    # As in Google's: tokens that never occur come before the special ones.
    pieces = [token for token, _ in sorted(backend.get_vocab().items(), key=lambda entry: entry[1])][len(special) :]
    order = [special[0], "spare", "spares", *special[1:], *pieces]
    return BertTokenizer(vocab={token: number for number, token in enumerate(order)})


def byte_level():
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.train_from_iterator(
        TEXTS + OTHERS,
        trainers.BpeTrainer(
            vocab_size=500, special_tokens=special, show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )  # fmt: skip
    model = json.loads(backend.to_str())["model"]
    vocab = {**model["vocab"], "<mask>": len(model["vocab"])}
    return RobertaTokenizer(vocab=vocab, merges=[tuple(merge) for merge in model["merges"]])


def unigram(kind, special):
    empty = kind(vocab=[(token, 0.0) for token in special])
    trained = empty.train_new_from_iterator(TEXTS + OTHERS, vocab_size=150, show_progress=False)
    pieces = json.loads(trained.backend_tokenizer.to_str())["model"]["vocab"][len(special) :]
    return kind(vocab=[(token, 0.0) for token in special] + [tuple(piece) for piece in pieces])


def albert():
    return unigram(AlbertTokenizer, ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"])


def xlm_roberta():
    return unigram(XLMRobertaTokenizer, ["<s>", "<pad>", "</s>", "<unk>", "<mask>"])


KINDS = {
    "wordpiece": (wordpiece, BertConfig, BertForSequenceClassification),
    "byte-level": (byte_level, RobertaConfig, RobertaForSequenceClassification),
    "albert": (albert, AlbertConfig, AlbertForSequenceClassification),
    "xlm-roberta": (xlm_roberta, XLMRobertaConfig, XLMRobertaForSequenceClassification),
}


def tokenizer_and_classifier(kind: str):
    """A trained tokenizer and a classifier with random weights, and rows for ids that no token has."""
    make, config, model = KINDS[kind]
    tokenizer = make()
    more = {"embedding_size": 16} if kind == "albert" else {}
    torch.manual_seed(0)
    ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
    classifier = model(config(vocab_size=len(tokenizer) + 7, **SIZES, **more, **ids)).eval()
    for parameter in classifier.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.3)
    return tokenizer, classifier
