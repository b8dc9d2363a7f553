"""Trimmed vocabularies: the same tokens and logits where tokens were kept, and no text that cannot be tokenised."""

import copy
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers
from tokenizers_made import KINDS, OTHERS, TEXTS, tokenizer_and_classifier
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    PreTrainedTokenizerFast,
    PythonBackend,
)

from hf_midropout.pruning.vocabulary.needs import needed_ids, with_ancestors
from hf_midropout.pruning.vocabulary.tokenizer import cut_settings
from hf_midropout.pruning.vocabulary.trimming import VocabularyTrimming, check_vocabulary, trim_vocabulary


KEPT = TEXTS[:3]
WORDS = sorted({word for text in KEPT for word in text.split()})
# Characters of the texts, others, and what means something to a tokenizer.
ANY = st.lists(
    st.sampled_from([*WORDS, "unhappiness", "quasars", "[MASK]", "<mask>", "é", "漢", "😀", "\x00", "ﬁ", "##ing", "▁"])
    | st.text(max_size=6),
    max_size=6,
).map(" ".join)


@pytest.fixture(scope="module")
def trimmed():
    """By kind: tokenizer and classifier before, and after, and what was done."""
    made = {}
    for kind in KINDS:
        tokenizer, model = tokenizer_and_classifier(kind)
        smaller = copy.deepcopy(model)
        result, done = trim_vocabulary(smaller, tokenizer, KEPT, OTHERS)
        made[kind] = tokenizer, model, result, smaller, done
    return made


def tokens(tokenizer, *texts: str) -> list[str]:
    return tokenizer.convert_ids_to_tokens(tokenizer(*texts)["input_ids"])


def logits(model, tokenizer, text: str) -> torch.Tensor:
    with torch.no_grad():
        return model(**tokenizer(text, truncation=True, max_length=70, return_tensors="pt")).logits


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60)
@given(text=ANY)
def test_where_all_tokens_are_kept_nothing_changes(trimmed, kind, text):
    tokenizer, model, smaller, small, _ = trimmed[kind]
    before = tokens(tokenizer, text)
    if set(before) <= set(smaller.get_vocab()):
        assert tokens(smaller, text) == before
        assert tokens(smaller, text, "the match") == tokens(tokenizer, text, "the match")
        assert torch.equal(logits(small, smaller, text), logits(model, tokenizer, text))


@pytest.mark.parametrize("kind", KINDS)
def test_the_texts_that_it_was_made_for_are_among_them(trimmed, kind):
    tokenizer, model, smaller, small, done = trimmed[kind]
    for text in KEPT:
        assert tokens(smaller, text) == tokens(tokenizer, text)
        assert torch.equal(logits(small, smaller, text), logits(model, tokenizer, text))
    assert done.tokens_after == len(smaller) < 0.85 * len(tokenizer) < done.tokens_before


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=100)
@given(text=ANY)
def test_no_text_gets_a_new_unknown_token(trimmed, kind, text):
    tokenizer, _, smaller, _, _ = trimmed[kind]
    before, after = tokens(tokenizer, text), tokens(smaller, text)
    assert after.count(smaller.unk_token) == before.count(tokenizer.unk_token)
    assert smaller.decode(smaller(text)["input_ids"]) == tokenizer.decode(tokenizer(text)["input_ids"])


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_saved_and_loaded_as_any_other(trimmed, kind, tmp_path):
    tokenizer, _, smaller, small, _ = trimmed[kind]
    smaller.save_pretrained(tmp_path)
    small.save_pretrained(tmp_path)
    loaded, model = (
        AutoTokenizer.from_pretrained(tmp_path),
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
    )
    assert type(loaded) is type(tokenizer) and loaded.get_vocab() == smaller.get_vocab()
    for text in (*TEXTS, *OTHERS, "漢字 <mask> [MASK] é"):
        assert dict(loaded(text, "and more")) == dict(smaller(text, "and more"))
        assert torch.allclose(logits(model, loaded, text), logits(small, smaller, text), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_special_ids_agree_everywhere(trimmed, kind):
    tokenizer, model, smaller, small, _ = trimmed[kind]
    assert small.config.vocab_size == small.get_input_embeddings().num_embeddings == len(smaller)
    assert small.get_input_embeddings().padding_idx == smaller.pad_token_id == small.config.pad_token_id
    assert smaller.special_tokens_map == tokenizer.special_tokens_map
    for name in ("bos_token_id", "eos_token_id"):
        old = getattr(model.config, name)
        if old is not None:
            token = tokenizer.convert_ids_to_tokens(old)
            assert smaller.convert_tokens_to_ids(token) == getattr(small.config, name)
    old, new = model.get_input_embeddings().weight, small.get_input_embeddings().weight
    for token, number in smaller.get_vocab().items():
        assert torch.equal(new[number], old[tokenizer.convert_tokens_to_ids(token)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_time_nothing_goes(trimmed, kind):
    _, _, smaller, small, done = trimmed[kind]
    again = copy.deepcopy(small)
    tokenizer, result = trim_vocabulary(again, smaller, KEPT)
    assert tokenizer.get_vocab() == smaller.get_vocab()
    assert result.tokens_before == result.tokens_after == done.tokens_after
    assert torch.equal(again.get_input_embeddings().weight, small.get_input_embeddings().weight)


def test_what_it_costs_is_told(trimmed):
    tokenizer, _, smaller, _, done = trimmed["wordpiece"]
    same = [tokens(tokenizer, text) == tokens(smaller, text) for text in OTHERS]
    lengths = [sum(len(tokens(each, text)) - 2 for text in OTHERS) for each in (tokenizer, smaller)]
    assert (done.texts, done.held_out, done.new_unknown) == (3, 3, 0)
    assert done.identical == sum(same) / 3 and done.length_ratio == pytest.approx(lengths[1] / lengths[0])
    assert "Of 3 other texts" in str(done) and "unknown" not in str(done)
    assert str(VocabularyTrimming(30, 20, 1)) == "Vocabulary: 30 -> 20 tokens, by 1 texts."


def test_added_tokens_and_those_that_the_config_names_stay():
    tokenizer, model = tokenizer_and_classifier("wordpiece")
    tokenizer.add_tokens(["goalless draw"])
    model.config.bos_token_id = tokenizer("quasars")["input_ids"][1]
    named = tokenizer.convert_ids_to_tokens(model.config.bos_token_id)
    assert named not in trim_vocabulary(*reversed(tokenizer_and_classifier("wordpiece")), KEPT)[0].get_vocab()
    smaller, _ = trim_vocabulary(model, tokenizer, KEPT)
    assert "goalless draw" in tokens(smaller, "a goalless draw then")
    assert smaller.convert_ids_to_tokens(model.config.bos_token_id) == named
    assert tokenizer.convert_tokens_to_ids("spare") == 1 and "spare" not in smaller.get_vocab()


def test_tied_output_embeddings_are_cut_too(trimmed):
    tokenizer = trimmed["wordpiece"][0]
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    model = BertForMaskedLM(BertConfig(vocab_size=len(tokenizer), max_position_embeddings=40, **sizes)).eval()
    model.cls.predictions.bias.data.normal_()
    smaller = copy.deepcopy(model)
    cut, _ = trim_vocabulary(smaller, tokenizer, KEPT)
    kept = [tokenizer.convert_tokens_to_ids(cut.convert_ids_to_tokens(number)) for number in range(len(cut))]
    assert torch.allclose(logits(smaller, cut, KEPT[0]), logits(model, tokenizer, KEPT[0])[..., kept], atol=1e-6)
    assert smaller.get_output_embeddings().weight is smaller.get_input_embeddings().weight


def test_merges_of_what_is_kept_stay_with_all_that_they_are_made_of():
    vocabulary = {token: number for number, token in enumerate(["a", "b", "c", "ab", "bc", "abc", "ca", "cab"])}
    model = {"type": "BPE", "vocab": vocabulary, "merges": ["a b", ["b", "c"], "ab c", "c a", "ca b"]}
    whole = {"added_tokens": [], "post_processor": None, "model": model}
    assert needed_ids(whole) == {0, 1, 2}
    kept = sorted(with_ancestors(whole, {0, 1, 2, 5}))
    assert kept == [0, 1, 2, 3, 5]
    cut = cut_settings(whole, kept)["model"]
    assert cut["vocab"] == {"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4}
    assert cut["merges"] == [["a", "b"], ["ab", "c"]]


def test_pieces_with_a_character_that_is_none_by_itself_stay():
    vocabulary = ["[UNK]", "a", "b", "##a", "##b", "ab", "##bX", "##ab"]
    model = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##"}
    whole = {"added_tokens": [], "model": {**model, "vocab": {piece: n for n, piece in enumerate(vocabulary)}}}
    assert needed_ids(whole) == {0, 1, 2, 3, 4, 6}


def test_bytes_the_lowest_score_and_the_place_of_the_unknown_token_stay():
    pieces = [["<s>", 0.0], ["rare", 0.0], ["<unk>", 0.0], ["a", -1.0], ["<0xE2>", -2.0], ["aaa", -9.0], ["aa", -3.0]]
    whole = {"added_tokens": [], "model": {"type": "Unigram", "unk_id": 2, "vocab": pieces}}
    assert needed_ids(whole) == {0, 1, 2, 3, 4, 5}
    assert json.loads(json.dumps(cut_settings(whole, [0, 1, 2, 3, 4, 5])))["model"]["unk_id"] == 2


class Slow(PythonBackend):
    def get_vocab(self):
        return {"a": 0}

    @property
    def vocab_size(self):
        return 1

    def _tokenize(self, text, **kwargs):
        return list(text)

    def _convert_token_to_id(self, token):
        return 0

    def _convert_id_to_token(self, index):
        return "a"


def test_what_cannot_be_trimmed():
    _, model = tokenizer_and_classifier("wordpiece")
    with pytest.raises(ValueError, match="Slow is a slow tokenizer, written in Python: only the vocabularies of fast"):
        check_vocabulary(model, Slow())
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ValueError, match="is a WordLevel tokenizer: vocabularies of WordPiece, BPE, Unigram can"):
        check_vocabulary(model, PreTrainedTokenizerFast(tokenizer_object=words))
    larger = BertTokenizer(vocab={f"t{number}": number for number in range(400)})
    with pytest.raises(ValueError, match="The tokenizer has ids up to 404, the model 236 rows of embeddings"):
        trim_vocabulary(model, larger, ["t1"])
    assert model.get_input_embeddings().num_embeddings == model.config.vocab_size == 236


def test_positions_that_are_counted_from_padding_stay_where_they_are():
    tokenizer, model = tokenizer_and_classifier("byte-level")
    model.roberta.embeddings.position_embeddings.padding_idx = 9
    smaller, _ = trim_vocabulary(copy.deepcopy(model), tokenizer, ["a"])
    assert smaller.convert_ids_to_tokens(range(10)) == tokenizer.convert_ids_to_tokens(range(10))
    model.roberta.embeddings.position_embeddings.padding_idx = len(tokenizer)
    with pytest.raises(ValueError, match=f"counts positions from id {len(tokenizer)} on, and the tokenizer has no"):
        check_vocabulary(model, tokenizer)
