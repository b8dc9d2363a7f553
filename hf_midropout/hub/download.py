"""Fetches a checkpoint from the Hub: names and sizes are checked first, hashes afterwards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ..checkpoints.checks import check_files
from ..utils.hub_errors import HubError, checked_hash, hub_errors, not_the_hub
from .client import bounded_requests


PULLED_SUFFIXES = (".safetensors", ".json", ".txt", ".py", ".model", ".md", ".html", ".jinja")


def download(
    repo_id: str,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: Any = None,
    no_pickles: bool = False,
    also: tuple[str, ...] = (),
) -> Path:
    """
    The folder in the Hub's cache with the files of one commit.

    Args:
        repo_id (`str`): The repository.
        revision (`str`, *optional*): Branch, tag or commit.
        token (`str`, *optional*): That of `hf auth login` or `HF_TOKEN` if not given.
        cache_dir (`str` or `os.PathLike`, *optional*): The Hub's cache; its usual place if not given.
        no_pickles (`bool`, *optional*): As in [`check_checkpoint`].
        also (`tuple[str]`, *optional*): Files to fetch besides those that loading needs.

    Raises:
        `ValueError`: for names or sizes that a checkpoint must not have; nothing was fetched.
        [`HubError`]: if the Hub refused, failed, could not be reached, or a file is not what the commit says.
    """
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.hf_api import RepoFile

    action = f"Pulling {repo_id}"
    missing = " There is no folder of that name here either."
    if constants.HF_HUB_OFFLINE:
        with hub_errors(action, token, missing):
            return Path(snapshot_download(repo_id, revision=revision, cache_dir=cache_dir, local_files_only=True))
    api = HfApi(token=token, library_name="hf_midropout")
    with hub_errors(action, token, missing), bounded_requests():
        commit = checked_hash(api.model_info(repo_id, revision=revision).sha)
        tree = [
            entry
            for entry in api.list_repo_tree(repo_id, recursive=True, revision=commit)
            if isinstance(entry, RepoFile)
        ]
        for entry in tree:
            if not isinstance(entry.path, str) or not isinstance(entry.size, int):
                raise not_the_hub("a file without a name or size")
    check_files({entry.path: entry.size for entry in tree}, no_pickles=no_pickles)
    wanted = [
        entry
        for entry in tree
        if entry.path in also or ("/" not in entry.path and entry.path.endswith(PULLED_SUFFIXES))
    ]
    with hub_errors(action, token), bounded_requests():
        folder = Path(
            snapshot_download(
                repo_id,
                revision=commit,
                cache_dir=cache_dir,
                token=token,
                allow_patterns=[entry.path for entry in wanted],
            )
        )
    changed = [
        entry.path
        for entry in wanted
        if not has_hash(folder / entry.path, entry.lfs.sha256 if entry.lfs else entry.blob_id)
    ]
    for name in changed:
        # The cache must forget its copy, or the next try would find it again.
        (folder / name).resolve().unlink(missing_ok=True)
        (folder / name).unlink(missing_ok=True)
    if changed:
        names = ", ".join(changed[:5])
        raise HubError(f"{action} failed: {names} arrived changed: not what the commit names. Try again.")
    return folder


def has_hash(path: Path, expected: str) -> bool:
    """Whether there is such a file, and its SHA-256 is `expected`, or its git hash if that is what `expected` is."""
    if not path.is_file() or not isinstance(expected, str):
        return False
    digest = hashlib.sha256() if len(expected) == 64 else hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest() == expected
