"""Tokens and keys in what is about to be published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.hub import secret_scan
from hf_midropout.hub.secret_scan import check_no_secret, find


SECRETS = {
    "a Hugging Face token": "hf_" + "aB3" * 11 + "x",
    "a GitHub token": "ghp_" + "aB3" * 12,
    "an API key": "sk-proj-" + "aB3_-" * 8,
    "an AWS key": "AKIA" + "Q4" * 8,
    "a Google key": "AIza" + "aB3_-" * 7,
    "a Slack token": "xoxb-" + "1234567890-" * 3,
    "a private key": "-----BEGIN RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("what", SECRETS)
def test_shapes(what):
    for text in (SECRETS[what], f'{{"x": "{SECRETS[what]}"}}'):
        for encoding in ("utf-8", "utf-16"):
            with pytest.raises(ValueError, match=f"notes.txt holds what looks like {what}: remove it") as refusal:
                check_no_secret({"notes.txt": text.encode(encoding)}, [])
            assert SECRETS[what] not in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["hf_midropout", "hf_...", "task-" + "a" * 40, "sk-learn", "AKIA", "disk-" + "b" * 60, "PUBLIC KEY"]
)
def test_ordinary_words_are_none(text):
    check_no_secret({"notes.txt": text.encode()}, [])


@given(before=st.binary(max_size=300), secret=st.sampled_from(sorted(SECRETS.values())), after=st.binary(max_size=50))
def test_anywhere_also_across_the_parts_that_a_file_is_read_in(before, secret, after):
    chunk = secret_scan.CHUNK
    secret_scan.CHUNK = 64
    try:
        assert find(before + b" " + secret.encode() + b" " + after, [])
    finally:
        secret_scan.CHUNK = chunk


def test_weights_are_searched_for_the_token_in_use_and_their_header_for_any(tmp_path):
    path = tmp_path / "model.safetensors"
    shape = SECRETS["a Hugging Face token"]
    path.write_bytes(b"\0" * (secret_scan.CHUNK - 5) + b" in-use-token " + b"\0" * 100)
    check_no_secret({path.name: path}, ["another"])
    with pytest.raises(ValueError, match="holds the access token"):
        check_no_secret({path.name: path}, ["", "in-use-token"])
    path.write_bytes(f'{{"__metadata__": {{"x": "{shape}"}}}}'.encode())
    with pytest.raises(ValueError, match="Hugging Face token"):
        check_no_secret({path.name: path}, [])
