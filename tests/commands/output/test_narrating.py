"""What commands say while they work: lines, bars beneath, or nothing."""

import contextlib
import io
import logging
import subprocess
import sys
from argparse import Namespace

import datasets
import pytest
from classifiers import save_classifiers
from runs import train
from tqdm import tqdm
from transformers.utils import logging as transformers_logging

from hf_midropout.cli import COMMANDS, main
from hf_midropout.commands.output.narrating import narrate
from hf_midropout.reporting.report import Report
from hf_midropout.reporting.verdict import verdict
from hf_midropout.utils.narration import bars_are_wanted, be_quiet, is_quiet, tell
from hf_midropout.utils.terminal import WIDTH, folded


pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture(autouse=True)
def as_before():
    """Levels and bars are those of the whole process."""
    level, bars = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    silent = datasets.are_progress_bars_disabled()
    package = logging.getLogger("hf_midropout")
    transformers_logging.enable_progress_bar()  # commands in other tests disable it
    yield
    be_quiet(False)
    transformers_logging.set_tqdm_hook(None)
    transformers_logging.set_verbosity(level)
    (transformers_logging.enable_progress_bar if bars else transformers_logging.disable_progress_bar)()
    package.setLevel(logging.NOTSET)
    package.handlers.clear()
    if not silent:
        datasets.enable_progress_bars()


def test_one_line_for_each_phase_and_event_in_80_columns(data_folder, tmp_path, capsys):
    assert train(data_folder, tmp_path / "out", "--disable_tqdm", "false") == 0
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert lines[0].startswith("hf-midropout ") and lines[0].endswith(" train") and lines[1].startswith("Data: ")
    events = ["Model: ", "step 2: scored 24 neurons in ", "step 5 of 5: validation accuracy ", "Compact model: "]
    places = [next(place for place, line in enumerate(lines) if line.startswith(event)) for event in events]
    assert places == sorted(places)
    assert "{" not in told.out and "'loss'" not in told.err
    assert [line for line in lines if len(line) > WIDTH and "/" not in line] == []
    assert "training: " in told.err  # the Trainer's bar
    said = " ".join(told.out.split())
    assert all(sentence in said for sentence in verdict(Report.load(tmp_path / "out" / "compact")))
    assert lines[-1] == f"Next: hf-midropout report {tmp_path / 'out' / 'compact'}"


def test_quiet_leaves_the_verdict(data_folder, tmp_path, capsys):
    assert train(data_folder, tmp_path / "out", "--quiet", "--disable_tqdm", "false") == 0
    told = capsys.readouterr()
    assert told.out.split() == " ".join(verdict(Report.load(tmp_path / "out" / "compact"))).split()
    assert told.err == ""
    assert train(data_folder, tmp_path / "out", "--quiet") == 1  # errors are told
    assert "is not empty" in capsys.readouterr().err


@pytest.mark.parametrize("options", [["train"], ["prune", "nowhere", "--output_dir", "small"]])
def test_levels(options, capsys):
    assert main([*options, "--log_level", "loud"]) in (1, 2)
    assert "--log_level" in capsys.readouterr().err


def test_bars_as_transformers_logging_says():
    assert bars_are_wanted()
    transformers_logging.disable_progress_bar()
    assert not bars_are_wanted()
    transformers_logging.enable_progress_bar()
    be_quiet(True)
    assert is_quiet() and not bars_are_wanted()


def test_bars_of_transformers_are_shown_only_while_something_takes_time(capsys):
    narrate(Namespace(quiet=False))
    terminal = io.StringIO()
    assert list(transformers_logging.tqdm([1, 2], desc="Writing model shards", file=terminal)) == [1, 2]
    assert terminal.getvalue() == ""
    assert list(transformers_logging.tqdm([1, 2], desc="Writing model shards", file=terminal, delay=0)) == [1, 2]
    assert "Writing" in terminal.getvalue() and terminal.getvalue().endswith("\r")  # gone when it is over


def test_lines_stand_above_a_bar(capsys):
    terminal = io.StringIO()
    with contextlib.redirect_stdout(terminal), tqdm(total=3, file=terminal) as bar:
        bar.update()
        tell("a line")
        bar.update()
    pieces = [piece for piece in terminal.getvalue().replace("\n", "\r").split("\r") if piece.strip()]
    assert pieces.index("a line") < len(pieces) - 1 and "%" in pieces[-1]


def test_the_first_line_comes_before_libraries_are_loaded():
    code = (
        "import sys, builtins; from hf_midropout import cli\n"
        "def told(*values, **_): print_(*values, bool({'torch', 'transformers'} & set(sys.modules))); sys.exit(0)\n"
        "print_ = print; builtins.print = told\n"
        "for command in cli.COMMANDS:\n"
        "    try: cli.main([command])\n"
        "    except SystemExit: pass"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert [line.split()[-2:] for line in done.stdout.splitlines()] == [[each, "False"] for each in COMMANDS], done


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_folder):
    return save_classifiers(tmp_path_factory.mktemp("classifiers"), data_folder)


def told(capsys, *arguments) -> tuple[list[str], str]:
    """The lines that a command writes to its standard output, and what it writes to its standard error."""
    assert main([str(each) for each in arguments]) == 0
    written = capsys.readouterr()
    return written.out.splitlines(), written.err


def test_what_commands_tell_and_quiet_leaves_the_result(folder, data_folder, tmp_path, capsys):
    rows = ("--dataset", data_folder)
    lines, _ = told(capsys, "score", folder / "dense", "--targets", "encoder", *rows)
    assert lines[0].endswith(" score") and lines[1].startswith(f"Data: {data_folder.name}; 72 train rows, cut to ")
    assert f"Loading {folder / 'dense'}" in lines
    table, errors = told(capsys, "score", folder / "dense", "--targets", "encoder", *rows, "--quiet")
    assert errors == "" and table[0].startswith("layer ") and table == lines[-len(table) :]

    lines, _ = told(capsys, "evaluate", folder / "dense", "--compare", folder / "narrow", *rows)
    assert lines[0].endswith(" evaluate") and lines[-1].startswith("Next: hf-midropout predict ")
    assert [f"Loading {folder / name}" for name in ("dense", "narrow")] == [x for x in lines if "Loading" in x]
    options = ["--output", tmp_path / "all.json", "--quiet"]
    table, errors = told(capsys, "evaluate", folder / "dense", "--compare", folder / "narrow", *rows, *options)
    assert errors == "" and table == lines[lines.index("", 1) : -1] and (tmp_path / "all.json").exists()

    lines, errors = told(capsys, "predict", folder / "dense", "--text", "ball", "bank")
    first, second = errors.splitlines()  # another program may read the rest
    assert first.endswith(" predict") and second == f"Classifying 2 texts with {folder / 'dense'}"
    assert [line.split("\t")[2] for line in lines] == ["ball", "bank"]
    assert told(capsys, "predict", folder / "dense", "--text", "ball", "bank", "--quiet") == (lines, "")
    assert told(capsys, "predict", folder / "dense", *rows, "--output", tmp_path / "a.csv", "--quiet") == ([], "")


@pytest.mark.parametrize("command", ["score", "evaluate", "predict", "export", "push", "report"])
def test_every_command_takes_levels(command, folder, capsys):
    options = {"predict": ["--text", "a"], "export": ["--onnx"], "push": ["me/tiny"]}.get(command, [])
    assert main([command, str(folder / "dense"), *options, "--log_level", "loud"]) == 1
    assert "--log_level loud: must be one of debug," in capsys.readouterr().err


def test_folded():
    text = folded("word " * 40, "  ")
    assert all(len(line) <= WIDTH for line in text.splitlines()) and text.split() == ["word"] * 40
    assert text.splitlines()[1].startswith("  word")
