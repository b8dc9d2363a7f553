"""
Runs functions in forks of itself, which need not import what it has imported: a new interpreter takes some seconds for
torch and transformers. Started by processes.py, once for all processes of pytest.

    python fork_server.py ADDRESSES ABSENT MODULE [MODULE]

It goes on as three servers, of which each has imported more than the one before: what takes long and knows neither
transformers nor the package ABSENT; transformers, where ABSENT cannot be imported, as if it were not installed; the
MODULEs, once there is a task for them. Their addresses are written to the file ADDRESSES. Each ends when its last
client has gone.
"""

import contextlib
import faulthandler
import gc
import importlib
import importlib.abc
import os
import pickle
import signal
import socket
import sys
import time
import traceback
from multiprocessing.connection import Connection, wait
from pathlib import Path


BARE = ["accelerate", "datasets", "scipy.optimize", "torch._dynamo", "torch.distributed.tensor"]
STOCK = [
    f"transformers.{part}" for part in ("models.auto.modeling_auto", "models.auto.tokenization_auto", "pipelines")
]
LONELY_SECONDS = 60
"""A server that no client finds in this time ends."""
HANGING_SECONDS = 240
"""A process that takes longer is ended, and its output says where it was."""
WHERE = signal.SIGUSR1
"""Tells a process to print where it is."""


class Absent(importlib.abc.MetaPathFinder):
    def __init__(self, package: str):
        self.package = package

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == self.package:
            raise ModuleNotFoundError(name)


def import_all(modules: list[str]) -> None:
    for module in modules:
        importlib.import_module(module)
    if modules:
        gc.collect()  # once, in place of a search through all that was imported in each fork
        gc.freeze()


def run(output: str, errors: str, environment: dict[str, str], function, arguments: tuple) -> None:
    """In a fork."""
    for number, path in ((1, output), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.environ.update(environment)
    faulthandler.dump_traceback_later(HANGING_SECONDS, exit=True)
    faulthandler.register(WHERE)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(HANGING_SECONDS + 10)  # should even the former hang
    code = 0
    try:
        function(*arguments)
    except SystemExit as error:  # as the interpreter takes it
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
        if code and error.code is not code:
            sys.stderr.write(f"{error.code}\n")
    except BaseException:
        code = 1
        traceback.print_exc()
    # An interpreter that ends waits for the threads of libraries, of which some did not survive the fork.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def exit_codes(tasks: list[tuple]) -> list[int]:
    """
    Of processes that run at the same time; below 0, the signal that ended one. If one fails, the others, which may
    wait for it, print where they are and are killed.
    """
    processes, codes = [], {}
    for task in tasks:
        process = os.fork()
        if process == 0:
            run(*task)
        processes.append(process)
    while len(codes) < len(processes):
        process, status = os.wait()
        codes[process] = os.waitstatus_to_exitcode(status)
        others = [other for other in processes if other not in codes] if codes[process] else []
        for number in (WHERE, signal.SIGKILL) if others else ():
            for other in others:
                os.kill(other, number)
            time.sleep(0.2)  # to be written
    return [codes[process] for process in processes]


def answer(client: Connection, tasks: list[tuple]) -> None:
    """In a fork: the exit codes, or why there are none, for which the client would wait."""
    try:
        client.send(exit_codes(tasks))
    except Exception:
        client.send(traceback.format_exc())
    os._exit(0)


def serve(place: socket.socket, key: bytes, modules: list[str]) -> None:
    """Runs the tasks of clients, each client's in a fork, so that others need not wait; ends with the last client."""
    clients: list[Connection] = []
    while ready := wait([place, *clients], None if clients else LONELY_SECONDS):
        for each in ready:
            if each is place:
                clients.append(Connection(place.accept()[0].detach()))
                continue
            try:
                content = each.recv_bytes()
            except (EOFError, OSError):
                content = b""
            if not content.startswith(key):
                clients.remove(each)
                each.close()
                continue
            import_all(modules)
            modules = []
            tasks = pickle.loads(content.removeprefix(key))
            if os.fork() == 0:
                answer(each, tasks)
        with contextlib.suppress(ChildProcessError):  # there is none
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have answered
                pass
        if not clients:
            break


def main(places: list[socket.socket], key: bytes, absent: str, modules: list[str]) -> None:
    bare, stock, own = places
    import_all(BARE)
    assert not {"transformers", absent} & sys.modules.keys()
    if os.fork() == 0:
        serve(bare, key, [])
        return
    finder = Absent(absent)
    sys.meta_path.insert(0, finder)
    import_all(STOCK)
    if os.fork() == 0:
        serve(stock, key, [])
        return
    sys.meta_path.remove(finder)
    serve(own, key, modules)


if __name__ == "__main__":
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    secret = os.urandom(16)  # others on this machine can reach the ports, but cannot read the file
    Path(sys.argv[1]).write_bytes(pickle.dumps(([server.getsockname() for server in servers], secret)))
    if os.fork():  # no child of the tests' process, whose children are stopped by the launcher that is tested in it
        os._exit(0)
    main(servers, secret, sys.argv[2], sys.argv[3:])
