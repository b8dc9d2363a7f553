"""The tiny model and its tokenizer."""

import logging

from datasets import Dataset, DatasetDict

from hf_midropout.data.builtin import load_python_docs
from hf_midropout.data.datasets import TextClassificationData
from hf_midropout.models.builtin import MAX_CHARACTERS, SPECIAL_TOKENS, tiny_tokenizer_and_model, train_tokenizer


def test_the_tokenizer_is_the_same_every_time():
    """A checkpoint knows pieces by their numbers: a resumed run and other processes make the tokenizer anew."""
    texts = load_python_docs()["train"]["text"][:600]
    first, other = (train_tokenizer(texts, vocab_size=600) for _ in range(2))
    assert other.backend_tokenizer.to_str() == first.backend_tokenizer.to_str()
    assert len(first) == 600 and first.model_max_length == 512
    assert first.convert_ids_to_tokens(range(len(SPECIAL_TOKENS))) == list(SPECIAL_TOKENS)
    ids = first("Return a list of files.")["input_ids"]
    assert ids[0] == first.cls_token_id and ids[-1] == first.sep_token_id and first.unk_token_id not in ids


def test_long_texts_are_learned_from_as_far_as_the_model_reads(caplog, monkeypatch):
    """And without the alarm that they are too long for the model, which never sees them whole."""
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    texts = ["opens a socket and reads " * 600 + "zebra " * 100, "closes the file " * 800]
    data = TextClassificationData("made up", DatasetDict(train=Dataset.from_dict({"text": texts})), ["a", "b"])
    tokenizer, _ = tiny_tokenizer_and_model(data, head_widths=[4])
    assert not caplog.records
    assert all(len(text) > MAX_CHARACTERS for text in texts)
    assert "s" in tokenizer.vocab and "z" not in tokenizer.vocab
