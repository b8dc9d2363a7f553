"""Only what a run wrote is ever removed, and an earlier run only when a later one is finished."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest
from runs import finished_run, save_checkpoint, save_compact, tree

from hf_midropout.training import output_folder
from hf_midropout.training.output_folder import OutputFolder
from hf_midropout.training.run_record import RunRecord
from hf_midropout.utils.files import _name_beside, new_folder
from hf_midropout.utils.interruption import stoppable


ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


class Failure(Exception):
    pass


@pytest.fixture
def out(tmp_path):
    return finished_run(tmp_path / "out")


def test_a_finished_run_replaces_an_earlier_one(out):
    (out / "notes.txt").write_text("mine")
    with OutputFolder(out, overwrite=True) as output:
        assert (out / "compact").exists(), "nothing is touched before everything is checked and loaded"
        output.begin()
        assert not (out / "compact").exists() and not (out / "checkpoint-5").exists()
        assert (out / "_earlier_run" / "compact" / "config.json").exists()
        output.writes("compact")
        save_compact(out, "new")
        output.finish()
    assert set(tree(out)) == {"notes.txt", "compact/config.json", "compact/figures/bits_per_layer.png"}
    assert (out / "compact" / "config.json").read_text() == "new" and output.kept == []
    assert not (out / "_earlier_run").exists()


@pytest.mark.parametrize("began", [False, True])
def test_a_run_that_fails_before_its_first_checkpoint_leaves_the_earlier_one(out, began):
    before = tree(out)
    with pytest.raises(Failure), OutputFolder(out, overwrite=True) as output:
        if began:
            output.begin()
            output.writes("checkpoint-3")
            (out / "checkpoint-3").mkdir()
            (out / "checkpoint-3" / "model.safetensors").write_bytes(b"cut")
            (out / "midropout_record.json").write_text("new")
        raise Failure
    assert tree(out) == before and output.left == ""
    with OutputFolder(out, resume=True) as output:
        assert output.checkpoint == str(out / "checkpoint-5")


def test_a_run_that_fails_later_says_where_both_are(out):
    with pytest.raises(Failure), OutputFolder(out, overwrite=True) as output:
        output.begin()
        output.writes("checkpoint-3")
        save_checkpoint(out, 3)
        raise Failure
    assert "checkpoint-3 with --resume" in output.left and str(out / "_earlier_run") in output.left
    assert (out / "_earlier_run" / "compact" / "config.json").exists()
    with OutputFolder(out, resume=True) as output:
        assert output.checkpoint == str(out / "checkpoint-3")
        output.begin()
        output.writes("compact")
        save_compact(out)
        output.finish()
    assert not (out / "_earlier_run").exists() and (out / "checkpoint-3").exists()


def test_files_of_the_user_in_a_folder_of_ours_are_kept_and_told(out):
    (out / "compact" / "notes.txt").write_text("mine")
    (out / "compact" / "figures" / "own").symlink_to(out.parent)
    (out / "checkpoint-5" / "eval").mkdir()
    (out / "checkpoint-5" / "eval" / "scores.csv").write_text("mine")
    with OutputFolder(out, overwrite=True) as output:
        output.begin()
        output.finish()
    kept = out / "_earlier_run"
    assert sorted(output.kept) == [
        str(kept / name) for name in ("checkpoint-5/eval/scores.csv", "compact/figures/own", "compact/notes.txt")
    ]
    assert (kept / "compact" / "notes.txt").read_text() == "mine" and (kept / "compact/figures/own").is_symlink()
    assert not (kept / "compact" / "config.json").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_without_our_record_is_never_touched(tmp_path, overwrite):
    """Also if its files have the names of ours."""
    save_checkpoint(tmp_path / "out", 5)
    save_compact(tmp_path / "out")
    before = tree(tmp_path / "out")
    with pytest.raises(ValueError, match="is not empty|did not write"):
        OutputFolder(tmp_path / "out", overwrite=overwrite).__enter__()
    assert tree(tmp_path / "out") == before
    assert sorted(os.listdir(tmp_path / "out")) == ["checkpoint-5", "compact"], "no trace is left in it"


@pytest.mark.parametrize(
    "content", ["[]", "{", '{"wrote": ["../precious"]}', '{"wrote": ["notes.txt"]}', '{"wrote": 3}']
)
def test_a_record_that_no_run_wrote_is_none(out, content):
    (out / "_midropout_run.json").write_text(content)
    before = tree(out)
    with pytest.raises(ValueError):
        OutputFolder(out, overwrite=True).__enter__()
    assert tree(out) == before


def test_what_another_trainer_or_a_user_put_under_our_names_is_refused(out):
    save_checkpoint(out, 9, callback="TrainerControl")
    for options in ({"overwrite": True}, {"resume": True}, {}):
        with pytest.raises(ValueError, match="holds checkpoint-9, which hf-midropout train did not write"):
            OutputFolder(out, **options).__enter__()


def test_links_are_not_followed(out, tmp_path):
    precious = tmp_path / "precious"
    save_compact(precious)
    for name in ("compact", "checkpoint-5"):
        (out / name).rename(tmp_path / name)
        (out / name).symlink_to(precious / "compact")
    with pytest.raises(ValueError, match="holds checkpoint-5, compact, which hf-midropout train did not write"):
        OutputFolder(out, overwrite=True).__enter__()
    assert tree(precious)


def test_an_output_folder_that_is_a_link(out, tmp_path):
    (tmp_path / "link").symlink_to(out)
    with OutputFolder(tmp_path / "link", overwrite=True) as output:
        output.begin()
        output.writes("compact")
        save_compact(out, "new")
        output.finish()
    assert (tmp_path / "link").is_symlink() and (out / "compact" / "config.json").read_text() == "new"


def test_a_failed_run_leaves_no_empty_folders(tmp_path):
    for began in (False, True):
        with pytest.raises(Failure), OutputFolder(tmp_path / "a" / "b" / "out") as output:
            if began:
                output.begin()
            raise Failure
        assert list(tmp_path.iterdir()) == []
    (tmp_path / "a").mkdir()
    with pytest.raises(Failure), OutputFolder(tmp_path / "a" / "b"):
        raise Failure
    assert [path.name for path in tmp_path.iterdir()] == ["a"], "what was there stays"


def interrupted(line: int, work) -> bool:
    """Runs `work`, with SIGINT before the `line`-th line of output_folder.py; whether it has that many."""

    def in_module(frame, event, arg):
        nonlocal line
        line -= event == "line"
        if event == "line" and line == 0:
            signal.raise_signal(signal.SIGINT)
        return in_module

    former = sys.gettrace()
    with stoppable(), suppress(KeyboardInterrupt, Failure):
        sys.settrace(lambda frame, *_: in_module if frame.f_code.co_filename == output_folder.__file__ else None)
        try:
            work()
        finally:
            sys.settrace(former)
    return line <= 0


@pytest.mark.parametrize("there", [False, True])
def test_ctrl_c_at_any_line(tmp_path, there):
    """Of a run that fails before its first checkpoint, in a new folder or in that of an earlier run."""
    out = finished_run(tmp_path / "out") if there else tmp_path / "a" / "out"
    before = tree(tmp_path)

    def work():
        with OutputFolder(out, overwrite=there) as output:
            output.begin()
            output.writes("checkpoint-3")
            (out / "checkpoint-3").mkdir()
            raise Failure

    line = 1
    while interrupted(line, work):
        assert tree(tmp_path) == before and [path.name for path in tmp_path.iterdir()] == ["out"] * there, line
        assert not there or sorted(RunRecord.load(out).there(out)) == [
            "checkpoint-5", "compact", "midropout_record.json",
        ]  # fmt: skip
        line += 1
    assert line > 50


KILLED = """
import os, signal, sys
from pathlib import Path
from runs import save_checkpoint, save_compact
from hf_midropout.training import output_folder
from hf_midropout.training.output_folder import OutputFolder

out, moment = Path(sys.argv[1]), sys.argv[2]
def die():
    os.kill(os.getpid(), signal.SIGKILL)
rename, renames = os.rename, []
def counted(*names):
    renames.append(names)
    if moment == "moving" and len(renames) == 2:
        die()
    rename(*names)
output_folder.os.rename = counted
with OutputFolder(out, overwrite=True) as output:
    if moment == "loading":
        die()
    output.begin()
    if moment == "training":
        output.writes("checkpoint-3")
        (out / "checkpoint-3").mkdir()
        die()
    save_checkpoint(out, 3)
    output.writes("checkpoint-3")
    if moment == "later":
        die()
    output.writes("compact")
    save_compact(out, "new")
    discard = output._discard
    output._discard = lambda path: (discard(path), die())
    output.finish()
"""


@pytest.mark.parametrize("moment", ["loading", "moving", "training", "later", "removing"])
def test_a_kill_at_any_moment(out, moment):
    before = tree(out)
    command = [sys.executable, "-c", KILLED, str(out), moment]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(ValueError, match="holds an earlier run"):  # not "in use": the lock ended with the process
        OutputFolder(out).__enter__()
    if moment == "removing":
        assert (out / "compact" / "config.json").read_text() == "new" and not (out / "_earlier_run").exists()
    elif moment == "later":
        assert (out / "checkpoint-3").exists()
        assert {f"_earlier_run/{name}" for name in before} <= set(tree(out))
    else:
        assert tree(out) == before


HOLDING = """
import sys, time
from pathlib import Path
from hf_midropout.training.output_folder import OutputFolder
with OutputFolder(Path(sys.argv[1])) as output:
    output.begin()
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_do_not_share_a_folder(tmp_path):
    out = tmp_path / "out"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(out)],
        env=ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout.readline() == "held\n"
        try:
            for options in ({}, {"overwrite": True}, {"resume": True}):
                with pytest.raises(
                    ValueError, match=rf"in use by another run \(process {other.pid} on .*, started 20"
                ):
                    OutputFolder(out, **options).__enter__()
            assert json.loads((out / "_midropout_run.json").read_text())["pid"] == other.pid
        finally:
            other.kill()
    with OutputFolder(out) as output:  # a killed process holds no lock
        output.begin()


def test_leftovers_of_a_killed_run_are_removed_and_those_of_a_live_one_are_not(out):
    code = "from hf_midropout.utils.files import _name_beside as name; print(name('compact'), name('x'))"
    dead = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True).stdout.split()
    live, elsewhere = _name_beside("compact"), ".compact.00000000-1-abcdef01"
    for name in (*dead, live, elsewhere):
        (out / name / "compact").mkdir(parents=True)
        (out / name / "compact" / "config.json").touch()
    (out / ".compact.mine").mkdir()
    records = [out / dead[0].replace("compact", f"midropout_record.{kind}") for kind in ("json", "safetensors")]
    for record in records:
        record.write_text("half")
    with OutputFolder(out, resume=True):
        pass
    assert not (out / dead[0]).exists() and not any(record.exists() for record in records)
    for name in (dead[1], live, elsewhere, ".compact.mine"):
        assert (out / name).exists(), name


def test_the_former_compact_is_gone_only_when_the_run_is_finished(out):
    with OutputFolder(out, resume=True) as output:
        output.begin()
        former = output.place_for_former()
        output.writes("compact")
        with new_folder(out / "compact", former) as saving:
            (saving / "config.json").write_text("new")
        assert (former / "config.json").read_text() == "{}"
        output.finish()
    assert not former.exists() and (out / "compact" / "config.json").read_text() == "new"
