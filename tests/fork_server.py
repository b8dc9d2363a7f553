"""
Runs functions in forks of itself, which need not import what it has imported: a new interpreter takes some seconds for
torch and transformers. Started by processes.py.

    python fork_server.py ABSENT MODULE [MODULE]

ABSENT is the name of a package that cannot be imported, as if it were not installed, or `-`.
"""

import gc
import importlib.abc
import json
import os
import pickle
import signal
import sys


class Absent(importlib.abc.MetaPathFinder):
    def __init__(self, package: str):
        self.package = package

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(name)


def run(output: str, errors: str, environment: dict[str, str], function, arguments: tuple) -> None:
    """In a fork."""
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(environment)
    signal.alarm(300)
    function(*arguments)


def exit_codes(tasks: list[tuple]) -> list[int]:
    """Of processes that run at the same time; below 0, the signal that ended one. If one fails, others are killed."""
    processes, codes = [], {}
    for task in tasks:
        process = os.fork()
        if process == 0:
            run(*task)
            sys.exit()
        processes.append(process)
    while len(codes) < len(processes):
        process, status = os.wait()
        codes[process] = os.waitstatus_to_exitcode(status)
        for other in processes if codes[process] else ():
            if other not in codes:
                os.kill(other, signal.SIGKILL)
    return [codes[process] for process in processes]


if __name__ == "__main__":
    if os.fork():  # no child of the tests' process, whose children are stopped by the launcher that is tested in it
        os._exit(0)
    sys.meta_path.insert(0, Absent(sys.argv[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.collect()  # once, in place of a search through all that was imported in each fork
    gc.freeze()
    while True:
        try:
            tasks = pickle.load(sys.stdin.buffer)
        except EOFError:
            break
        sys.stdout.write(json.dumps(exit_codes(tasks)) + "\n")
        sys.stdout.flush()
