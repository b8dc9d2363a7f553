"""Processes that fork_server.py forks: with the package imported, for trainings, and where it is not installed."""

import functools
import importlib
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

from torch.distributed import TCPStore


class ForkServer:
    """
    Args:
        modules (`str`): What is imported once for all forks.
        absent (`str`): A package that is not installed.
        environment (`str`): Variables, beside those of this process.
    """

    def __init__(self, *modules: str, absent: str = "-", **environment: str):
        command = [sys.executable, str(Path(__file__).with_name("fork_server.py")), absent, *modules]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), **environment}
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.process.wait()  # it goes on as a process of its own until its standard input ends

    def run(self, *tasks: tuple) -> list[int]:
        """Exit codes of tasks: (file for its output, file for its errors, environment, function, arguments)."""
        pickle.dump(tasks, self.process.stdin)
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


@functools.cache
def trainings() -> ForkServer:
    return ForkServer("distributed_run", "interrupted_run", "sharded_run", "shared_batches_run")


def exit_code(log: Path, function, *arguments, **environment: str) -> int:
    """Of a process that runs `function`, of a module that it can import, and prints into `log`."""
    (code,) = trainings().run((log, log, environment, function, arguments))
    return code


def find_hub() -> None:
    """In a fork: where it was imported huggingface_hub had been told that there is no network."""
    from huggingface_hub import constants, hf_api

    importlib.reload(constants)
    hf_api.api.endpoint = constants.ENDPOINT


def run_code(code: str, arguments: list[str]) -> None:
    """What `python -c` does."""
    find_hub()
    sys.argv = ["-c", *arguments]
    exec(code, {})


def run_command(arguments: list[str]) -> None:
    """What `python -m hf_midropout` does."""
    from hf_midropout.cli import main

    find_hub()
    sys.exit(main(arguments))


def run_client(folder: Path, environment: dict[str, str], *arguments: str | Path, code: str | None = None):
    """The completed process of a command, or of `code`, that writes into `folder`, with a Hub in its environment."""
    return completed(trainings(), folder, environment, code, arguments)


def completed(server: ForkServer, folder: Path, environment, code: str | None, arguments):
    arguments, number = list(map(str, arguments)), len(list(folder.glob("*.stdout")))
    output, errors = folder / f"{number}.stdout", folder / f"{number}.stderr"
    task = (run_code, (code, arguments)) if code else (run_command, (arguments,))
    (status,) = server.run((output, errors, environment, *task))
    return subprocess.CompletedProcess(arguments, status, output.read_text(), errors.read_text())


def run_ranks(number: int, folder: Path, function, *arguments, **environment: str) -> None:
    """Runs `function` in `number` processes at once, each with the environment that `accelerate launch` gives it."""
    environment = {"ACCELERATE_USE_CPU": "true", **environment}
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    logs, tasks = [folder / f"{number}_{rank}.log" for rank in range(number)], []
    for rank, log in enumerate(logs):
        if number > 1:
            environment = environment | {
                "WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number), "RANK": str(rank), "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
            }  # fmt: skip
        tasks.append((log, log, environment, function, arguments))
    codes = trainings().run(*tasks)
    assert codes == [0] * number, (codes, *(log.read_text()[-3000:] for log in logs))


def stock_transformers(folder: Path):
    """
    A function that runs code with arguments where this package is not installed, for the lines that it prints; further
    arguments are variables of its environment, such as a Hub's.
    """
    parts = ("models.auto.modeling_auto", "models.auto.tokenization_auto", "pipelines")
    modules = [f"transformers.{part}" for part in parts]
    server = ForkServer(*modules, absent="hf_midropout", HF_MODULES_CACHE=str(folder / "modules"))

    def run_stock(code: str, *arguments: str | Path, **environment: str) -> list[str]:
        done = completed(server, folder, environment, code, arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run_stock
