"""Two names exchanged in one step, and what is done where the system cannot."""

import ctypes
import errno
import sys

import pytest

from hf_midropout.utils import files, renaming
from hf_midropout.utils.files import new_folder
from hf_midropout.utils.renaming import exchange


@pytest.fixture
def two(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    return tmp_path / "one", tmp_path / "other"


def content(folder):
    return (folder / "file").read_text()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs renameat2")
def test_both_are_there_in_the_others_place_or_nothing_happens(two):
    one, other = two
    if not exchange(one, other):
        pytest.skip("the file system cannot")
    assert (content(one), content(other)) == ("other", "one")
    with pytest.raises(FileNotFoundError) as missing:
        exchange(one, one.with_name("missing"))
    assert missing.value.filename == str(one) and missing.value.filename2.endswith("missing")
    assert content(one) == "other"


@pytest.mark.parametrize("lacks", ["the system", "the library", "the file system"])
def test_what_cannot_says_so_and_changes_nothing(two, monkeypatch, lacks):
    if lacks == "the system":
        monkeypatch.setattr(renaming.sys, "platform", "darwin")
    elif lacks == "the library":
        monkeypatch.setattr(renaming.ctypes, "CDLL", lambda *_, **__: object())
    else:

        class Library:
            @staticmethod
            def renameat2(*_):
                ctypes.set_errno(errno.EINVAL)
                return -1

        monkeypatch.setattr(renaming.ctypes, "CDLL", lambda *_, **__: Library)
    assert exchange(*two) is False
    assert [content(each) for each in two] == ["one", "other"]


def test_a_folder_is_replaced_without_an_exchange_or_put_back(two, monkeypatch):
    one, _ = two
    monkeypatch.setattr(files, "exchange", lambda *_: False)
    with new_folder(one) as filling:
        (filling / "file").write_text("new")
    assert content(one) == "new"

    rename = files.os.rename

    def failing(source, target):
        if target == one and source.parent != one.parent and content(source) == "newer":
            raise OSError(errno.EIO, "the disk is gone")
        rename(source, target)

    monkeypatch.setattr(files.os, "rename", failing)
    with pytest.raises(OSError, match="the disk is gone"), new_folder(one) as filling:
        (filling / "file").write_text("newer")
    assert content(one) == "new" and {path.name for path in one.parent.iterdir()} == {"one", "other"}
