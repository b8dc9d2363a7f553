"""What reads a command's output may end before it does, as in `hf-midropout ... | head`."""

import io
import os
import sys
import threading

import pytest
from processes import exit_code

from hf_midropout.cli import COMMANDS, main
from hf_midropout.utils.closed_pipes import STATUS, is_closed_pipe, reader_is_gone


def run(arguments: list[str], last: str = "", buffered: bool = True) -> None:
    """
    In a process of its own: a command whose output is a pipe. Its reader is gone from the start, or once it has read
    a line with `last`.
    """
    reader, writer = os.pipe()
    sys.stdout = io.TextIOWrapper(os.fdopen(writer, "wb", -1 if buffered else 0), write_through=not buffered)

    def read() -> None:
        with open(reader) as lines:
            next((line for line in lines if last in line), None)

    threading.Thread(target=read, daemon=True).start() if last else os.close(reader)
    sys.exit(main(arguments))


HELP = [(command, "--help") for command in COMMANDS]


@pytest.mark.parametrize(
    ("arguments", "buffered"),
    [(each, True) for each in ((), ("--help",), ("--version",), ("train",), *HELP)] + [((), False), (HELP[0], False)],
)
def test_it_ends_quietly(tmp_path, arguments, buffered):
    status = exit_code(tmp_path / "log", run, arguments, "", buffered)
    assert status in ((2, STATUS) if not arguments else (STATUS,))
    assert (tmp_path / "log").read_text() == ""


def test_the_status_of_a_mistake_stays(tmp_path):
    options = ["prune", "./nowhere", "--output_dir", str(tmp_path / "small"), "--quiet"]
    assert exit_code(tmp_path / "log", run, options) == 1
    assert "--checkpoint ./nowhere" in (tmp_path / "log").read_text()


def test_a_training_that_nobody_reads_ends(data_folder, tmp_path):
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "out"), "--disable_tqdm", "true"]
    assert exit_code(tmp_path / "log", run, ["train", *options], "Model: ") == STATUS
    assert "Broken pipe" not in (tmp_path / "log").read_text() and not (tmp_path / "out").exists()


def test_other_pipes_are_none_of_its_business():
    """A connection to the Hub that breaks is an error."""
    assert not is_closed_pipe(BrokenPipeError("a connection"))
    reader, writer = os.pipe()
    with open(writer, "w") as stream:
        assert not reader_is_gone(stream)
        os.close(reader)
        assert reader_is_gone(stream)
    assert not reader_is_gone(io.StringIO())
