"""`hf-midropout prune` killed while it saves: the folder is whole or not there, and the next run tidies up."""

import os
import signal
import sys
from pathlib import Path

import pytest
import torch
from classifiers import NAMES, SIZES
from datasets import Dataset
from processes import exit_code
from transformers import BertConfig, BertForSequenceClassification

from hf_midropout.checkpoints.checks import check_checkpoint
from hf_midropout.cli import main
from hf_midropout.commands.prune import command, finish
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.reporting.report import Report
from hf_midropout.utils import files, plotting
from hf_midropout.utils.narration import be_quiet


WRITES = {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def kill_at(number: int, place: str) -> None:
    """Kills this process before it changes something in `place` for the `number`-th time."""
    seen = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal seen
        if event in WRITES and str(arguments[0]).startswith(place):
            reads = event == "open" and not {*"wxa+"}.intersection(str(arguments[1] or "r"))
            seen += not reads
            if not reads and seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def pruned_and_killed(options: list[str], folder: Path, step: int) -> None:
    """Run in a process of its own: the command, whose end is tried again and again, each time killed a bit later."""
    real = command.finish
    plotting.draw = lambda draw, path: path.parent.mkdir(exist_ok=True) or path.write_bytes(b"a figure") or path

    def finish_in_children(*arguments) -> None:
        number, statuses = 1, []
        while not statuses or os.WIFSIGNALED(statuses[-1]):
            child = os.fork()
            if child == 0:
                kill_at(number, str(folder))
                real(*arguments)
                os._exit(0)
            statuses.append(os.waitpid(child, 0)[1])
            small = folder / "small"
            if small.exists():  # whole, also where only what was beside it had still to be removed
                check_checkpoint(small)
                assert Report.load(small) is not None and (small / "README.md").is_file()
                os.rename(small, folder / "whole")
                break
            number += step
        (folder / "killed").write_text(str(len(statuses)))

    command.finish = finish_in_children
    sys.exit(main(["prune", *options, "--output_dir", str(folder / "small")]))


# At each of some thirty moments in the slow run, at every fifth in the fast one.
@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_while_saving(data_folder, tmp_path, capsys, step):
    tokenizer = train_tokenizer(Dataset.from_csv(str(data_folder / "train.csv"))["text"][:], vocab_size=60)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokenizer), intermediate_size=32, **SIZES, **NAMES)
    for each in (BertForSequenceClassification(config), tokenizer):
        each.save_pretrained(tmp_path / "dense")
    folder = tmp_path / "place"
    folder.mkdir()
    for name in (".small.notes", ".small.0123abcd-1-0123abcd", "small.txt"):  # of another machine, and the user's
        (folder / name).write_text("mine")
    options = [str(tmp_path / "dense"), "--dataset", str(data_folder), "--no_compare", "--no_latency"]
    code = exit_code(tmp_path / "log", pruned_and_killed, options, folder, step)
    assert code == 0, (tmp_path / "log").read_text()
    assert int((folder / "killed").read_text()) > 20 // step
    left = [path for path in folder.iterdir() if path.is_dir() and path.name.startswith(".small.")]
    assert len(left) > 15 // step
    (left[0] / "small").mkdir(exist_ok=True)
    (left[0] / "small" / "thesis.txt").write_text("mine")
    (left[0] / "small" / "link.json").symlink_to(folder / "small.txt")
    assert main(["prune", *options, "--output_dir", str(folder / "small")]) == 0
    kept = {".small.notes", ".small.0123abcd-1-0123abcd", "small.txt", "killed", "whole", "small", left[0].name}
    assert {path.name for path in folder.iterdir()} == kept
    assert {path.name for path in (left[0] / "small").iterdir()} == {"thesis.txt", "link.json"}
    assert (folder / "small.txt").read_text() == "mine"
    assert f"{left[0].name}/small/thesis.txt" in capsys.readouterr().out
    check_checkpoint(folder / "small")


@pytest.mark.parametrize("quiet", [False, True])
def test_what_no_run_wrote_stays_and_is_told_unless_quiet(tmp_path, monkeypatch, capsys, quiet):
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "mine.txt").write_text("mine")
    (tmp_path / "left" / "config.json").write_text("{}")
    monkeypatch.setattr(files, "clean_up", lambda folder, names, remove: remove(folder / "left"))
    be_quiet(quiet)
    try:
        finish.remove_what_a_kill_left(str(tmp_path / "small"))
    finally:
        be_quiet(False)
    assert [path.name for path in (tmp_path / "left").iterdir()] == ["mine.txt"]
    told = f"Left where it is, as no run wrote it: {tmp_path / 'left' / 'mine.txt'}\n"
    assert capsys.readouterr().out == ("" if quiet else told)
