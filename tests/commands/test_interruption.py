"""Ctrl-C and SIGTERM end the command in one line, with what is kept."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from processes import exit_code

from hf_midropout.cli import main
from hf_midropout.training.resuming import find_last_whole
from hf_midropout.utils.interruption import check, received, stoppable, uninterrupted


OPTIONS = ["--disable_tqdm", "true", "--use_cpu", "--save_strategy", "steps", "--save_steps", "4"]


def start(tmp_path, *options: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "hf_midropout", "train", "--output_dir", str(tmp_path / "out"), *options]
    command += OPTIONS
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip


def wait_for(process: subprocess.Popen, condition) -> None:
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


def lines(text: str) -> list[str]:
    """What is no progress bar."""
    return [line for line in text.splitlines() if line.strip() and "/s]" not in line and "mtime" not in line]


# By default a training is interrupted, and a folder that has none leaves nothing: training/test_output_folder.py.
@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_while_importing(data_folder, tmp_path, signum):
    process = start(tmp_path, "--dataset", str(data_folder))
    wait_for(process, (tmp_path / "out").exists)  # torch comes after that
    process.send_signal(signum)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert lines(error) == ["hf-midropout train: stopped before the first checkpoint: nothing is left of this run."]
    assert list(tmp_path.iterdir()) == []


def interrupted(options: list[str], folder: Path) -> None:
    """Run in a process of its own: the command, which gets Ctrl-C when there is a checkpoint."""

    def interrupt():
        while not find_last_whole(folder)[0]:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=interrupt, daemon=True).start()
    sys.exit(main(["train", "--output_dir", str(folder), *options, *OPTIONS]))


def test_while_training(data_folder, tmp_path):
    options = ["--dataset", str(data_folder), "--num_train_epochs", "1000"]
    assert exit_code(tmp_path / "log", interrupted, options, tmp_path / "out") == 130
    (line,) = [each for each in lines((tmp_path / "log").read_text()) if each.startswith("hf-midropout train: ")]
    assert line.startswith("hf-midropout train: stopped at step ")
    assert "; continue with --resume (from checkpoint-" in line


@pytest.mark.slow
def test_under_a_launcher(data_folder, tmp_path):
    options = ["--accelerate_config", "cpu_2", "--accelerate", "main_process_port=0", "--num_train_epochs", "1000"]
    process = start(tmp_path, "--dataset", str(data_folder), *options)
    wait_for(process, lambda: find_last_whole(tmp_path / "out")[0])
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130
    (line,) = [each for each in lines(error) if each.startswith("hf-midropout")]
    assert "; continue with --resume (from checkpoint-" in line and "Traceback" not in error


def test_a_signal_that_was_swallowed_is_raised_again():
    with stoppable():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert received() == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            check()
    check()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_comes_in_a_hold_is_raised_after_it():
    done = []
    with stoppable():
        with pytest.raises(KeyboardInterrupt), uninterrupted():
            with uninterrupted():
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        with uninterrupted():  # once
            done.append("after")
    assert done == ["inner", "outer", "after"]


def test_the_status_of_an_interruption_in_the_execution_of_a_string():
    code = "import signal, sys; from hf_midropout import cli; cli.run = lambda *_: exec('signal.raise_signal(15)')\n"
    done = subprocess.run([sys.executable, "-c", f"{code}sys.exit(cli.main(['train']))"], capture_output=True)
    assert done.returncode == 143 and done.stderr.split() == [b"hf-midropout", b"train:", b"stopped."]


def test_ignored_signals_stay_ignored():
    former = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGTERM)
            assert received() is None
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, former)
