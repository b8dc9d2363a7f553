"""Publishes a checkpoint on the Hub in one commit, and pulls one back; needs no torch."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from ..checkpoints.checks import check_checkpoint, checkpoint_folder
from ..utils.hub_errors import HubError, checked_hash, hub_errors, not_the_hub
from ..utils.safe_paths import read_inside
from .client import bounded_requests
from .contents import digests, published_contents
from .download import download
from .secret_scan import check_no_secret


README = "README.md"
MAX_README_BYTES = 2**22


@dataclass
class Published:
    """
    A commit on the Hub: `repo_id` (`str`), `commit` (`str`, its hash), `url` (`str`), `files` (`list[str]`), and
    `digests` (`dict[str, str]`, the SHA-256 of each file as it was sent).
    """

    repo_id: str
    commit: str
    url: str
    files: list[str]
    digests: dict[str, str] = field(default_factory=dict)


def push(
    folder: str | os.PathLike,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    commit_message: str | None = None,
    token: str | None = None,
) -> Published:
    """
    Publishes the checkpoint in `folder` as one commit: either all of it is there afterwards, or nothing.

    Weights are safetensors only. The files of code travel along, four for a head and two for layers of different
    widths, with the `auto_map` that names them, so that it loads without this package too. The model card is merged
    with the README that is on the Hub, or else with that in `folder`; no file in `folder` is changed.

    Args:
        folder (`str` or `os.PathLike`): A folder with a checkpoint.
        repo_id (`str`): `"name"` or `"user/name"`; made if it does not exist.
        private (`bool`, *optional*): Whether a new repository is private; the account's default if not given. With
            `True`, nothing is sent to a repository that is public.
        revision (`str`, *optional*): Branch to commit to, made if it does not exist; `main` if not given.
        commit_message (`str`, *optional*): The commit's title.
        token (`str`, *optional*): Token with write access; that of `hf auth login` or `HF_TOKEN` if not given.

    Returns:
        [`Published`]: the commit.

    Raises:
        `ValueError`: if the checkpoint is broken, or a file holds a token or a key; nothing was sent.
        [`HubError`]: if the Hub refused, failed or could not be reached; nothing of the commit is there.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

    folder = Path(folder)
    check_checkpoint(folder)
    token = token or get_token()
    if token is None:
        raise HubError(f"Pushing to {repo_id} failed: no token was found: run `hf auth login`, or set HF_TOKEN.")
    tokens = [token, os.environ.get("HF_TOKEN", "")]
    message = commit_message or "Upload MIDropout checkpoint"
    contents = published_contents(folder)
    check_no_secret(contents | {"commit_message": message.encode()}, tokens)  # before anything is made on the Hub
    api = HfApi(token=token, library_name="hf_midropout")
    action = f"Pushing to {repo_id}"
    with hub_errors(action, token), bounded_requests():
        repo_id = checked_id(api.create_repo(repo_id, private=private, exist_ok=True).repo_id)
        info = api.model_info(repo_id)
        if private and not info.private:
            raise HubError(
                f"{repo_id} exists and is public: --private makes new repositories private. Nothing was sent. Make it "
                "private in its settings on the Hub, or leave the option out."
            )
        if revision:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
            info = api.model_info(repo_id, revision=revision)
        parent = checked_hash(info.sha)
        there = [file.rfilename for file in info.siblings or []]
        if not all(isinstance(name, str) for name in there):
            raise not_the_hub("a file without a name")
        on_the_hub = _readme(api, repo_id, parent) if README in there else None
    contents[README] = _card(folder, repo_id, on_the_hub)
    check_no_secret(contents, tokens)
    # A loader prefers an index of shards that an earlier push left to a file of another name.
    stale = [name for name in there if fnmatch(name, "model*.safetensors*") and name not in contents]
    with hub_errors(action, token), bounded_requests():
        commit = api.create_commit(
            repo_id,
            [
                CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
                for name, content in contents.items()
            ]
            + [CommitOperationDelete(name) for name in stale],
            commit_message=message,
            revision=revision,
            parent_commit=parent,
        )
        oid = checked_hash(commit.oid)
    return Published(repo_id, oid, f"{api.endpoint}/{repo_id}", sorted(contents), digests(contents))


def checked_id(repo_id: object) -> str:
    """`repo_id`, if it is the id of a repository; [`HubError`] for anything else that a server gave in its place."""
    if isinstance(repo_id, str) and re.fullmatch(r"[\w.-]{1,96}/[\w.-]{1,96}", repo_id):
        return repo_id
    raise not_the_hub("no id of a repository")


def _readme(api, repo_id: str, commit: str) -> str:
    path = Path(api.hf_hub_download(repo_id, README, revision=commit))
    if path.stat().st_size > MAX_README_BYTES:
        raise HubError(f"its {README} has {path.stat().st_size:,} bytes: {MAX_README_BYTES:,} are allowed.")
    return path.read_bytes().decode("utf-8", "replace")


def _card(folder: Path, repo_id: str, on_the_hub: str | None) -> bytes:
    from ..reporting.model_card import card_text

    existing = read_inside(folder, README) if on_the_hub is None else on_the_hub
    return card_text(folder, existing or "", repo_id=repo_id).encode()


def pull(
    checkpoint: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    trust_remote_code: bool = False,
    no_pickles: bool = False,
    also: tuple[str, ...] = (),
) -> Path:
    """
    A local folder with `checkpoint`, checked by [`check_checkpoint`] before anything loads it.

    Of a repository, names and sizes are checked before any file is fetched, pickles are not fetched, every file comes
    from one commit, and must have the hash that this commit says.

    Args:
        checkpoint (`str`): A local folder, also the output of `hf-midropout train`, or the id of a repository.
        revision (`str`, *optional*): Branch, tag or commit.
        token (`str`, *optional*): That of `hf auth login` or `HF_TOKEN` if not given.
        cache_dir (`str` or `os.PathLike`, *optional*): The Hub's cache; its usual place if not given.
        trust_remote_code, no_pickles (`bool`, *optional*): As in [`check_checkpoint`].
        also (`tuple[str]`, *optional*): Files to fetch besides those that loading needs.

    Raises:
        `ValueError`: if the checkpoint is refused, with the reason, or a path leads nowhere.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    if Path(checkpoint).exists() or not re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", checkpoint):
        folder = checkpoint_folder(checkpoint)
    else:
        folder = download(checkpoint, revision, token, cache_dir, no_pickles, also)
    check_checkpoint(folder, trust_remote_code=trust_remote_code, no_pickles=no_pickles)
    return folder
