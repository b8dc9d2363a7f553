"""
Processes that need not import torch and transformers again, which takes a new interpreter some seconds: they are
forked from one that has imported them and done nothing else. With the package (`multiprocessing`'s fork server), for
trainings, and without it.
"""

import contextlib
import gc
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path
from unittest import mock

import torch
from torch.distributed import TCPStore


SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["distributed_run", "sharded_run", "shared_batches_run", "interrupted_run"])


def begin(log: Path, environment: dict[str, str], function, arguments: tuple) -> None:
    """What a process runs: `function`, with all that it prints in a file."""
    gc.freeze()  # to look for garbage among all that was imported takes longer than a training
    torch.set_num_threads(1)
    os.environ.update(environment)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1), os.dup2(file, 2)
    function(*arguments)


def start(log: Path, function, *arguments, **environment: str):
    """A process that runs `function`, of one of the modules here, and prints into `log`."""
    with mock.patch.dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)):  # where the fork server finds the modules
        process = SERVER.Process(target=begin, args=(log, environment, function, arguments))
        process.start()
    return process


def run_ranks(number: int, folder: Path, function, *arguments, **environment: str) -> None:
    """Runs `function` in `number` processes at once, each with the environment that `accelerate launch` gives it."""
    environment = {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", **environment}
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    logs, processes = [folder / f"{number}_{rank}.log" for rank in range(number)], []
    for rank, log in enumerate(logs):
        if number > 1:
            environment |= {
                "WORLD_SIZE": str(number), "LOCAL_WORLD_SIZE": str(number), "RANK": str(rank), "LOCAL_RANK": str(rank),
                "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "TORCHELASTIC_USE_AGENT_STORE": "True",
            }  # fmt: skip
        processes.append(start(log, function, *arguments, **environment))
    end = time.monotonic() + 300
    try:
        while any(process.exitcode is None for process in processes) and time.monotonic() < end:
            wait([process.sentinel for process in processes if process.exitcode is None], 10)
            if any(process.exitcode for process in processes):
                break
        codes = [process.exitcode for process in processes]
        assert codes == [0] * number, (codes, *(log.read_text()[-3000:] for log in logs))
    finally:
        for process in processes:  # one that failed is waited for by the others
            process.kill()
            process.join()


STOCK = """
import importlib.abc, json, os, sys

class Absent(importlib.abc.MetaPathFinder):  # as if the package had never been installed
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "hf_midropout":
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

for line in sys.stdin:
    code, arguments, *files = json.loads(line)
    child = os.fork()
    if child == 0:
        for number, file in enumerate(files):
            os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number + 1)
        sys.argv = ["-c", *arguments]
        exec(code, {})
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextlib.contextmanager
def stock_transformers(folder: Path):
    """Gives a function that runs code with arguments where the package is not installed, for the lines it prints."""
    numbers = itertools.count()
    environment = {**os.environ, "HF_MODULES_CACHE": str(folder / "modules")}
    with subprocess.Popen(
        [sys.executable, "-c", STOCK], env=environment, cwd=folder, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:  # fmt: skip

        def run(code: str, *arguments: str | Path) -> list[str]:
            output, errors = (folder / f"{next(numbers)}" for _ in range(2))
            task = [code, [*map(str, arguments)], str(output), str(errors)]
            print(json.dumps(task), file=server.stdin, flush=True)
            assert server.stdout.readline() == "0\n", errors.read_text()
            return output.read_text().splitlines()

        yield run
