"""
Files of a folder that may come from a stranger: links that lead out of it are followed neither to read nor to write.

A snapshot in the Hub's cache consists of links into `blobs` folders of the cache: these, and links that stay inside
the folder, are what a link may be.
"""

from __future__ import annotations

import os
from pathlib import Path

from .files import write_bytes


MAX_FILES = 100_000


def files_of(folder: str | os.PathLike) -> dict[str, int]:
    """
    The sizes in bytes of the regular files of `folder` and of its subfolders, by path inside it.

    Raises:
        `ValueError`: for a link that leads out of the folder or nowhere, and for more than 100,000 files.
    """
    folder = Path(folder)
    sizes: dict[str, int] = {}
    pending = [folder]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            if path.is_symlink():
                check_link(folder, path)
            if path.is_dir():
                if not path.is_symlink():  # what a link inside the folder leads to is met where it lies
                    pending.append(path)
            elif path.is_file():
                sizes[path.relative_to(folder).as_posix()] = path.stat().st_size
            if len(sizes) > MAX_FILES:
                raise ValueError(f"{folder} holds more than {MAX_FILES:,} files: a checkpoint does not.")
    return sizes


def check_link(folder: Path, path: Path) -> None:
    """`ValueError` if the link `path` in `folder` leads out of it, or nowhere."""
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError):
        raise ValueError(f"{path.relative_to(folder)} is a link that leads nowhere: remove it.") from None
    allowed = [folder.resolve(), *hub_cache_blobs(folder)]
    if not any(target.is_relative_to(root) for root in allowed):
        raise ValueError(
            f"{path.relative_to(folder)} is a link that leads out of the folder, which is not followed: put a copy "
            "there in its place."
        )


def hub_cache_blobs(folder: Path) -> list[Path]:
    """
    Where the links of a snapshot in the Hub's cache lead, if `folder` is one: the repository's `blobs`, and the store
    that repositories share, `blobs` beside them.
    """
    snapshots = folder.resolve().parent
    repository = snapshots.parent
    if snapshots.name != "snapshots" or "--" not in repository.name:
        return []
    stores = [repository / "blobs"]
    if (repository.parent / "blobs" / ".huggingface-shared-blobs").is_file():
        stores.append(repository.parent / "blobs")
    return [store for store in stores if store.is_dir() and not store.is_symlink()]


def write_inside(folder: str | os.PathLike, name: str, content: bytes | str) -> Path:
    """
    Writes a file, whole or not at all, without following a link: one that stands in its place is replaced, not
    written through.

    Args:
        folder (`str` or `os.PathLike`): Trusted to be where the caller wants it; made if it does not exist.
        name (`str`): Path inside `folder`, with `/`; its folders are made.
        content (`bytes` or `str`): The content; a `str` in UTF-8.

    Returns:
        `Path`: of the file.

    Raises:
        `ValueError`: if a folder on the way is a link, or something there is no folder or no file.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    *parents, last = name.split("/")
    for parent in parents:
        folder /= parent
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise ValueError(f"{folder} is a link or a file, not a folder: nothing is written there. Remove it.")
        folder.mkdir(exist_ok=True)
    path = folder / last
    if path.is_dir() and not path.is_symlink():
        raise ValueError(f"{path} is a folder: a file of that name cannot be written.")
    write_bytes(path, content.encode() if isinstance(content, str) else content)
    return path


def read_inside(folder: str | os.PathLike, name: str) -> str | None:
    """
    The text of the file `name` in `folder`, `None` if there is none.

    Raises:
        `ValueError`: if it is a link that leads out of the folder, or no UTF-8.
    """
    path = Path(folder) / name
    if path.is_symlink():
        check_link(Path(folder), path)
    if not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not valid UTF-8.") from None
