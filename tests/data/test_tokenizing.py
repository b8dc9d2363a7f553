"""The beginning of a text gives the tokens of the whole, on natural and hostile texts, for tokenizers of each kind."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from hf_midropout.data.tokenizing import beginning, tokenize_texts, works_word_by_word
from hf_midropout.models.builtin import train_tokenizer


NATURAL = [
    "Opens a socket, and waits for the peer's answer; it doesn't block.",
    "Der Übermut des Königs -- naïve façade -- 3.14 is π. 日本語 のテキスト 混在。",
    "``Quoted'' text  with   several spaces\nand\ttabs, e-mail@example.org and [MASK] tokens.",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def wrapped(model, trainer, normalizer, splitter, prepare=None) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(model)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = splitter
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(NATURAL * 3, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair=None, special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]",
        mask_token="[MASK]", model_max_length=512,
    )  # fmt: skip


def bpe(splitter, normalizer=None, alphabet=()):
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=list(alphabet))
    return wrapped(models.BPE(unk_token="[UNK]"), trainer, normalizer, splitter)


LOCAL = {
    "albert": lambda: train_tokenizer(NATURAL * 3, vocab_size=120),
    "bert": lambda: wrapped(
        models.WordPiece(unk_token="[UNK]"),
        trainers.WordPieceTrainer(vocab_size=200, special_tokens=SPECIAL),
        normalizers.BertNormalizer(lowercase=True),
        pre_tokenizers.BertPreTokenizer(),
    ),
    "gpt2": lambda: bpe(
        pre_tokenizers.ByteLevel(add_prefix_space=False), alphabet=pre_tokenizers.ByteLevel.alphabet()
    ),
    "t5": lambda: bpe(
        pre_tokenizers.Metaspace(prepend_scheme="always"),
        normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")]),
    ),
    "digits": lambda: bpe(
        pre_tokenizers.Sequence(
            [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)]
        ),
        normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]),
    ),
}


@pytest.fixture(scope="module")
def tokenizers():
    return {name: make() for name, make in LOCAL.items()}


# Spaces of several kinds, marks that combine with what is before them, a prefix that holds on to what is after it,
# pairs that normalizers replace, and words that are tokens of their own.
HOSTILE = [
    " ", "  ", "\n", "\t", "\u00a0", "\u3000", "\u0300", "\u0308", "\u0600", "\u200d", "\ufb01", "a", "é",
    "e\u0301", "`", "``", "'", "''", "'s", ".", ",", "1", "23", "▁", "[MASK]", "[SEP]", "socket", "Ü", "ẞ", "日本",
    "\U0001f468\u200d", "\0",
]  # fmt: skip


@settings(max_examples=150)
@given(
    parts=st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=60),
    natural=st.lists(st.sampled_from(" ".join(NATURAL).split()), max_size=30),
    max_length=st.integers(3, 12),
    characters=st.integers(1, 3),
)
@example(parts=["x"], natural=[], max_length=3, characters=1)
@example(parts=["a", " ", "\u0300"] * 20, natural=[], max_length=4, characters=1)
@example(parts=["``", " ", "[MASK]"] * 20, natural=["it"] * 30, max_length=5, characters=1)
def test_the_beginning_gives_the_tokens_of_the_whole(tokenizers, parts, natural, max_length, characters):
    texts = ["".join(parts), " ".join(natural), "".join(parts) + " " + " ".join(natural), " ".join(parts)]
    for name, tokenizer in tokenizers.items():
        whole = tokenizer(texts, truncation=True, max_length=max_length)
        part = tokenize_texts(tokenizer, texts, max_length, works_word_by_word(tokenizer), characters)
        assert part == dict(whole), name


def test_only_what_is_needed_is_read(tokenizers, monkeypatch):
    for name, tokenizer in tokenizers.items():
        assert works_word_by_word(tokenizer), name
        given_to = []
        kind = type(tokenizer)
        call = kind.__call__
        with monkeypatch.context() as patch:
            patch.setattr(
                kind,
                "__call__",
                lambda self, texts, c=call, seen=given_to, **k: seen.append(texts) or c(self, texts, **k),
            )
            rows = tokenize_texts(tokenizer, ["some words and " * 10_000, "short"], 16, True)
        assert len(rows["input_ids"][0]) == 16
        assert sum(len(text) for texts in given_to for text in texts) < 1000


def test_tokenizers_that_reach_over_spaces_get_the_whole_text(tokenizers):
    others = {
        "metaspace without splits": bpe(pre_tokenizers.Metaspace(split=False)),
        "no splits": bpe(pre_tokenizers.Digits()),
        "own pattern": bpe(pre_tokenizers.Split(Regex(r"\w+ \w+"), "isolated")),
        "spaces taken away": bpe(pre_tokenizers.Metaspace(), normalizers.Replace(" ", "")),
        "pattern over spaces": bpe(pre_tokenizers.WhitespaceSplit(), normalizers.Replace("a b", "c")),
        "pattern of its own": bpe(pre_tokenizers.WhitespaceSplit(), normalizers.Replace(Regex("x.*"), "c")),
        "merged with next": bpe(pre_tokenizers.Punctuation("merged_with_next")),
        "cut on the left": LOCAL["bert"](),
        "token with a space": LOCAL["bert"](),
        "dropout": LOCAL["gpt2"](),
    }
    others["cut on the left"].truncation_side = "left"
    others["token with a space"].add_tokens(["two words"])
    others["dropout"].backend_tokenizer.model.dropout = 0.1
    for name, tokenizer in others.items():
        assert not works_word_by_word(tokenizer), name


def test_where_a_text_may_be_cut():
    assert beginning("one two three", 8) == "one two"
    assert beginning("one two", 3) == "one"
    assert beginning("onetwo three", 4) == "onetwo three"
    assert beginning("one é two", 6) == "one"  # an accented letter may be in two characters
    assert beginning("short", 5) == "short"
