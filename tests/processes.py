"""
Processes that need not import torch and transformers again, which takes a new interpreter some seconds: they are
forked from one that has imported them and done nothing else (`multiprocessing`'s fork server).
"""

import gc
import multiprocessing
import os
import sys
import time
from multiprocessing.connection import wait
from pathlib import Path
from unittest import mock

import torch
from torch.distributed import TCPStore


SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["conftest", "distributed_run", "sharded_run", "shared_batches_run", "interrupted_run"])


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
