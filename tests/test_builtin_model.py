"""The tiny model and its tokenizer."""

from hf_midropout.builtin_data import load_python_docs
from hf_midropout.builtin_model import SPECIAL_TOKENS, train_tokenizer


def test_the_tokenizer_is_the_same_every_time():
    """A checkpoint knows pieces by their numbers: a resumed run and other processes make the tokenizer anew."""
    texts = load_python_docs()["train"]["text"][:1500]
    first, *others = (train_tokenizer(texts, vocab_size=600) for _ in range(6))
    for other in others:
        assert other.backend_tokenizer.to_str() == first.backend_tokenizer.to_str()
    assert len(first) == 600 and first.model_max_length == 512
    assert first.convert_ids_to_tokens(range(len(SPECIAL_TOKENS))) == list(SPECIAL_TOKENS)
    ids = first("Return a list of files.")["input_ids"]
    assert ids[0] == first.cls_token_id and ids[-1] == first.sep_token_id and first.unk_token_id not in ids
