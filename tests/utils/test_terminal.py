from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.utils.terminal import one_line, printable


def test_escape_sequences_do_not_reach_the_terminal():
    assert printable("a\x1b[2Jb\x9bm\r\u202e\ud800") == "a\\x1b[2Jb\\x9bm\\r\\u202e\\ud800"
    assert printable("two\nlines") == "two\nlines" and one_line(" two\nlines ") == "two lines"
    assert printable("x" * 10**7).endswith("... (10,000,000 characters)") and len(printable("x" * 10**7)) < 1_100
    assert printable("größer → ok") == "größer → ok"


@given(st.text(st.characters(codec=None)))
def test_any_text_can_be_printed(text):
    for shown in (printable(text), one_line(text)):
        shown.encode("utf-8")
        assert all(letter == "\n" or letter.isprintable() for letter in shown)
