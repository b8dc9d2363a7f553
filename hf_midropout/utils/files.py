"""Files and folders that are whole or not there: written beside their place, then renamed into it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from .interruption import uninterrupted
from .renaming import exchange


FORMER = "former"
_BESIDE = re.compile(r"\.(?P<name>.+)\.(?P<place>[0-9a-f]{8})-(?P<pid>\d+)-[0-9a-f]{8}")


def write_json(path: str | os.PathLike, content: Any) -> None:
    """Writes `content` as indented JSON; an interruption leaves the former file as it was."""
    # NaN is no JSON: better to fail here than in every reader.
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes `text` in UTF-8, as [`write_bytes`]."""
    write_bytes(path, text.encode())


def write_bytes(path: str | os.PathLike, content: bytes) -> None:
    """Writes `content`; an interruption, of this process or of the machine, leaves the former file as it was."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(_name_beside(path.name))
    try:
        with open(beside, "xb") as file:  # "x" follows no link
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def new_folder(path: str | os.PathLike, former: str | os.PathLike | None = None) -> Iterator[Path]:
    """
    Context manager: gives a folder beside `path` to fill, which takes the place of `path` at the end, in one step
    where the system can exchange two names. If the body raises, `path` is left as it was, and of the folders around
    it none that was made for it is.

    Args:
        path (`str` or `os.PathLike`): Where the folder is to be.
        former (`str` or `os.PathLike`, *optional*): Where what is at `path` goes, a name in an existing folder of the
            same file system; it is deleted if not given.
    """
    path = Path(path)
    made = [parent for parent in path.parents if not parent.exists()]
    beside = path.with_name(_name_beside(path.name))
    filling, replaced = beside / path.name, beside / FORMER
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        filling.mkdir()
        yield filling
        for folder, _, files in os.walk(filling):
            for name in files:
                _sync(Path(folder, name))
            _sync(Path(folder))
        with uninterrupted():
            if not os.path.lexists(path):
                os.rename(filling, path)
            else:
                if exchange(filling, path):
                    os.rename(filling, replaced)
                else:
                    # For a moment there is nothing at `path`; killed just then, `clean_up` puts the former one back.
                    os.rename(path, replaced)
                    _rename_or_put_back(filling, path, replaced)
                if former is not None:
                    os.rename(replaced, former)
        _sync(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        for parent in made:
            with suppress(OSError):  # not empty, unless the body raised
                parent.rmdir()


def try_folder(path: Path) -> None:
    """`OSError` if [`new_folder`] cannot make a folder at `path`; leaves nothing."""
    with suppress(_Tried), new_folder(path):
        raise _Tried


class _Tried(Exception):
    """Ends a trial."""


def clean_up(folder: Path, names: tuple[str, ...], remove: Callable[[Path], None]) -> None:
    """
    Removes what `write_bytes` and `new_folder` of processes that are dead left beside `names` in `folder`.

    Args:
        folder (`Path`): A folder.
        names (`tuple[str, ...]`): Names in it.
        remove (`Callable`): What removes a folder that may hold the former one.
    """
    for path in sorted(folder.glob(".*")):
        match = _BESIDE.fullmatch(path.name)
        if not match or match["name"] not in names or match["place"] != _place() or _is_alive(int(match["pid"])):
            continue
        if path.is_symlink() or not path.is_dir():
            path.unlink()
            continue
        target = folder / match["name"]
        if (path / FORMER).exists() and not os.path.lexists(target):
            os.rename(path / FORMER, target)
        for each in sorted(path.iterdir()):
            remove(each)
        with suppress(OSError):
            path.rmdir()


def _rename_or_put_back(filling: Path, path: Path, replaced: Path) -> None:
    try:
        os.rename(filling, path)
    except BaseException:
        with suppress(OSError):
            os.rename(replaced, path)
        raise


def is_beside(name: str) -> bool:
    """Whether `write_bytes` and `new_folder` give such names to what is not yet in its place."""
    return _BESIDE.fullmatch(name) is not None


def _name_beside(name: str) -> str:
    # Not to be foreseen: a link that waits there would make the run fail.
    return f".{name}.{_place()}-{os.getpid()}-{secrets.token_hex(4)}"


@cache
def _place() -> str:
    """Where the numbers of processes mean what they mean here: the machine and, in containers, their name space."""
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return hashlib.sha256(f"{socket.gethostname()}:{space}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def _sync(path: Path) -> None:
    """Has the disk hold what was written to `path`; folders where the system lets them be opened."""
    with suppress(PermissionError, IsADirectoryError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (22, 95):  # EINVAL, EOPNOTSUPP: a file system that cannot
                raise
        finally:
            os.close(descriptor)
