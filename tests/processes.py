"""Processes that fork_server.py forks: with the package imported, for trainings, and where it is not installed."""

import contextlib
import functools
import importlib
import os
import pickle
import socket
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock
from fork_server import HANGING_SECONDS
from torch.distributed import TCPStore


def last_lines(log: Path) -> str:
    return log.read_text()[-3000:] if log.exists() else "(nothing)"


class Server:
    """A connection to one of the servers that fork_server.py is."""

    def __init__(self, address: tuple[str, int], key: bytes):
        self.connection, self.key = Connection(socket.create_connection(address).detach()), key

    def run(self, *tasks: tuple) -> list[int]:
        """
        Exit codes of tasks: (file for its output, file for its errors, environment, function, arguments). They have
        `HANGING_SECONDS`.
        """
        self.connection.send_bytes(self.key + pickle.dumps(tasks))
        if not self.connection.poll(HANGING_SECONDS + 60):
            outputs = "\n".join(f"{task[1]}:\n{last_lines(task[1])}" for task in tasks)
            raise TimeoutError(f"No answer of the server of forks after {HANGING_SECONDS + 60} seconds.\n{outputs}")
        answer = self.connection.recv()
        if isinstance(answer, str):
            raise RuntimeError(f"The server of forks failed:\n{answer}")
        return answer


class Servers(NamedTuple):
    """
    Args:
        bare ([`Server`]): Has imported neither transformers nor this package.
        stock ([`Server`]): Has transformers, and not this package, which it could not import.
        own ([`Server`]): Has this package, and what trainings need.
    """

    bare: Server
    stock: Server
    own: Server


@functools.cache
def servers() -> Servers:
    """The processes of pytest-xdist share them, by the folder that conftest.py names in the environment."""
    folder = Path(os.environ["FORK_SERVER_FOLDER"])
    file = folder / "fork_server.addresses"
    with FileLock(folder / "fork_server.lock"):
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):  # not started, or ended
            return connected(file)
        modules = ["distributed_run", "interrupted_run", "sharded_run", "shared_batches_run"]
        command = [
            sys.executable,
            str(Path(__file__).with_name("fork_server.py")),
            str(file),
            "hf_midropout",
            *modules,
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=True)  # its fork goes on
        return connected(file)


def connected(file: Path) -> Servers:
    addresses, key = pickle.loads(file.read_bytes())
    return Servers(*[Server(address, key) for address in addresses])


def exit_code(log: Path, function, *arguments, **environment: str) -> int:
    """Of a process that runs `function`, of a module that it can import, and prints into `log`."""
    (code,) = servers().own.run((log, log, environment, function, arguments))
    return code


def find_hub() -> None:
    """In a fork: where it was imported huggingface_hub had been told that there is no network."""
    from huggingface_hub import constants, hf_api
    from transformers import dynamic_module_utils

    importlib.reload(constants)
    hf_api.api.endpoint = constants.ENDPOINT
    dynamic_module_utils.HF_MODULES_CACHE = os.environ.get("HF_MODULES_CACHE", f"{constants.HF_HOME}/modules")


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
    return completed(servers().own, folder, environment, code, arguments)


def completed(server: Server, folder: Path, environment, code: str | None, arguments):
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
    codes = servers().own.run(*tasks)
    assert codes == [0] * number, "\n".join([f"exit codes {codes}", *map(last_lines, logs)])


def stock_transformers(folder: Path):
    """
    A function that runs code with arguments where this package is not installed, for the lines that it prints; further
    arguments are variables of its environment, such as a Hub's.
    """
    modules = {"HF_MODULES_CACHE": str(folder / "modules")}

    def run_stock(code: str, *arguments: str | Path, **environment: str) -> list[str]:
        done = completed(servers().stock, folder, modules | environment, code, arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return run_stock
