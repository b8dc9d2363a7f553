"""A tiny ALBERT and its tokenizer, made on the spot: what `hf-midropout train` uses when no model is named."""

from __future__ import annotations

import json

import torch
from accelerate.utils import broadcast_object_list
from transformers import AlbertTokenizer

from ..choices import TINY_MAX_LENGTH
from ..data.datasets import TextClassificationData, load_text_classification
from .configuration_midropout_albert import MIDropoutAlbertConfig
from .modeling_midropout_albert import MIDropoutAlbertForSequenceClassification


SPECIAL_TOKENS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
MAX_CHARACTERS = 10_000
"""Of a text that are learned from: more than the model's positions take in."""
WINDOW = 5
"""Pieces on either side that count as context."""


def train_tokenizer(texts: list[str], vocab_size: int = 4000) -> AlbertTokenizer:
    """
    An ALBERT tokenizer (Unigram) of at most `vocab_size` pieces, trained on `texts`: the same one in every run and on
    every process, as pieces are known to a model by their numbers.
    """
    special = [(token, 0.0) for token in SPECIAL_TOKENS]
    trained = AlbertTokenizer(vocab=special).train_new_from_iterator(texts, vocab_size=vocab_size, show_progress=False)
    pieces = json.loads(trained.backend_tokenizer.to_str())["model"]["vocab"][len(special) :]
    # It is trained by several threads: the last digits of a score differ from run to run, and characters that are too
    # rare for one get the lowest ones in any order.
    lowest = min((score for piece, score in pieces if len(piece) > 1), default=0.0)
    pieces = [(piece, round(max(score, lowest), 3)) for piece, score in pieces]
    pieces.sort(key=lambda entry: (-entry[1], entry[0]))
    vocabulary = [special + pieces]
    broadcast_object_list(vocabulary)
    return AlbertTokenizer(vocab=vocabulary[0], model_max_length=TINY_MAX_LENGTH)


def word_vectors(tokenizer: AlbertTokenizer, texts: list[str], size: int) -> torch.Tensor:
    """
    Vectors `[vocabulary, size]` of unit variance from which pieces occur near which: singular vectors of the positive
    pointwise mutual information matrix, with smoothed contexts (Levy, Goldberg & Dagan, TACL 2015). A model this small
    does not find out what words mean from a few thousand labelled rows.
    """
    vocabulary = len(tokenizer)
    rows = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]  # not cut, and not for the model
    pieces = torch.cat([torch.tensor(row, dtype=torch.long) for row in rows])
    text = torch.repeat_interleave(torch.arange(len(rows)), torch.tensor([len(row) for row in rows]))
    counts = torch.zeros(vocabulary * vocabulary)
    for distance in range(1, WINDOW + 1):
        together = text[:-distance] == text[distance:]
        pairs = pieces[:-distance][together] * vocabulary + pieces[distance:][together]
        counts.scatter_add_(0, pairs, torch.full((len(pairs),), 1.0 / distance))
    counts = counts.view(vocabulary, vocabulary)
    counts = counts + counts.T
    context = counts.sum(0) ** 0.75
    expected = counts.sum(1, keepdim=True) * context / context.sum()
    ppmi = torch.where(counts > 0, torch.log(counts / expected), 0.0).clamp(min=0)
    vectors, values, _ = torch.svd_lowrank(ppmi, q=min(size, vocabulary), niter=3)
    vectors = torch.nn.functional.pad(vectors * values.sqrt(), (0, size - len(values)))
    return vectors / vectors.std().clamp(min=1e-6)


def tiny_model(
    tokenizer: AlbertTokenizer, texts: list[str], label_names: list[str], **head
) -> MIDropoutAlbertForSequenceClassification:
    """
    An ALBERT of two layers with 128 units: word vectors from `texts`, the rest random.

    Args:
        tokenizer ([`~transformers.AlbertTokenizer`]): What `train_tokenizer` gave.
        texts (`list[str]`): Training texts.
        label_names (`list[str]`): Names of the classes.
        head: Options of the head, see [`MIDropoutAlbertConfig`].
    """
    model = MIDropoutAlbertForSequenceClassification(
        MIDropoutAlbertConfig(
            vocab_size=len(tokenizer),
            embedding_size=64,
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=256,
            max_position_embeddings=TINY_MAX_LENGTH,
            initializer_range=0.08,  # 1 / sqrt(hidden_size): 0.02 suits wide models and leaves this one slow to start
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.cls_token_id,
            eos_token_id=tokenizer.sep_token_id,
            id2label=dict(enumerate(label_names)),
            label2id={name: index for index, name in enumerate(label_names)},
            **head,
        )
    )
    embeddings = model.albert.embeddings.word_embeddings.weight
    vectors = word_vectors(tokenizer, texts, embeddings.shape[1])
    special = len(SPECIAL_TOKENS)
    embeddings.data[special:] = vectors[special:]
    return model


def tiny_tokenizer_and_model(
    data: TextClassificationData, **head
) -> tuple[AlbertTokenizer, MIDropoutAlbertForSequenceClassification]:
    """Both made from the training texts of `data`, long ones cut; `head` as in `tiny_model`."""
    texts = [text[:MAX_CHARACTERS] for text in data.texts("train")]
    tokenizer = train_tokenizer(texts)
    return tokenizer, tiny_model(tokenizer, texts, data.label_names, **head)


def builtin_task(max_length: int = 64):
    """
    What `hf-midropout train` works on when nothing is named.

    Returns:
        `tuple`: the tiny model, its tokenizer, and a `datasets.DatasetDict` of tokenized documentation strings.
    """
    data = load_text_classification()
    tokenizer, model = tiny_tokenizer_and_model(data)
    return model, tokenizer, data.tokenize(tokenizer, max_length)
