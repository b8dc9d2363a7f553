"""Publishes a checkpoint on the Hub in one commit, and pulls one back; needs no torch."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from .checkpoint_checks import MODEL_TYPE, check_checkpoint, check_files, read_json, weight_files
from .hub_errors import HubError, hub_errors


README = "README.md"
# What is published of a folder; anything else there (optimizer states, pickles, notes) stays at home.
PUBLISHED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "spiece.model", "tokenizer.model", "vocab.json", "vocab.txt", "merges.txt",
    "midropout_report.json", "midropout_report.html", "figures/*.png", "figures/*.svg",
    "onnx/model.onnx",
)  # fmt: skip
PULLED_SUFFIXES = (".safetensors", ".json", ".txt", ".py", ".model", ".md", ".html")
CODE_FILES = ("configuration_midropout_albert.py", "modeling_midropout_albert.py")
AUTO_MAP = {
    "AutoConfig": "configuration_midropout_albert.MIDropoutAlbertConfig",
    "AutoModel": "modeling_midropout_albert.MIDropoutAlbertModel",
    "AutoModelForSequenceClassification": "modeling_midropout_albert.MIDropoutAlbertForSequenceClassification",
}


@dataclass
class Published:
    """A commit on the Hub: `repo_id` (`str`), `commit` (`str`, its hash), `url` (`str`), `files` (`list[str]`)."""

    repo_id: str
    commit: str
    url: str
    files: list[str]


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
    Publishes the checkpoint in `folder` as one commit: all of it arrives, or nothing.

    Weights are safetensors only. The two files of code travel along, with the `auto_map` that names them, so that it
    loads without this package too. The model card is merged with the README that is on the Hub, or else with that in
    `folder`; no file in `folder` is changed.

    Args:
        folder (`str` or `os.PathLike`): A folder with a checkpoint.
        repo_id (`str`): `"name"` or `"user/name"`; made if it does not exist.
        private (`bool`, *optional*): Whether a new repository is private; the account's default if not given.
        revision (`str`, *optional*): Branch to commit to, made if it does not exist; `main` if not given.
        commit_message (`str`, *optional*): The commit's title.
        token (`str`, *optional*): Token with write access; that of `hf auth login` or `HF_TOKEN` if not given.

    Returns:
        [`Published`]: the commit.

    Raises:
        `ValueError`: if the checkpoint is broken; nothing was sent.
        [`HubError`]: if the Hub refused, failed or could not be reached; nothing of the commit is there.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token

    folder = Path(folder)
    check_checkpoint(folder)
    token = token or get_token()
    if token is None:
        raise HubError(f"Pushing to {repo_id} failed: no token was found: run `hf auth login`, or set HF_TOKEN.")
    api = HfApi(token=token, library_name="hf_midropout")
    with hub_errors(f"Pushing to {repo_id}", token):
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        if revision:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        info = api.model_info(repo_id, revision=revision)
        there = [file.rfilename for file in info.siblings or []]
        contents = published_contents(folder)
        check_no_secret(contents, token)
        contents[README] = _card(folder, repo_id, api, info.sha if README in there else None)
        # A loader prefers an index of shards that an earlier push left to a file of another name.
        stale = [name for name in there if fnmatch(name, "model*.safetensors*") and name not in contents]
        commit = api.create_commit(
            repo_id,
            [CommitOperationAdd(name, content) for name, content in contents.items()]
            + [CommitOperationDelete(name) for name in stale],
            commit_message=commit_message or "Upload MIDropout checkpoint",
            revision=revision,
            parent_commit=info.sha,
        )
    return Published(repo_id, commit.oid, f"{api.endpoint}/{repo_id}", sorted(contents))


def published_contents(folder: Path) -> dict[str, Any]:
    """What is published of a checkpoint, without its card: a path or bytes, by name in the repository."""
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    weights = weight_files(folder)
    weights += ["model.safetensors.index.json"] if weights != ["model.safetensors"] else []
    contents: dict[str, Any] = {
        name: str(folder / name)
        for name in names
        if name in weights or any(fnmatch(name, pattern) for pattern in PUBLISHED)
    }
    config = read_json(folder / "config.json")
    if config.get("model_type") == MODEL_TYPE:
        for name in CODE_FILES:
            # The code of this version reads this version's checkpoints; what lies in the folder may have been edited.
            contents[name] = str(Path(__file__).with_name(name))
        if config.get("auto_map") != AUTO_MAP:
            contents["config.json"] = json.dumps(config | {"auto_map": AUTO_MAP}, indent=2, sort_keys=True).encode()
    return contents


def check_no_secret(contents: dict[str, Any], token: str) -> None:
    """`ValueError` if a file to be published holds the token, as a report of its training's options might."""
    for name, content in contents.items():
        if not name.endswith((".safetensors", ".png", ".onnx")):
            content = content if isinstance(content, bytes) else Path(content).read_bytes()
            if token.encode() in content:
                raise ValueError(f"{name} holds the access token: remove it there before publishing.")


def _card(folder: Path, repo_id: str, api, commit: str | None) -> bytes:
    from .model_card import card_text

    if commit is not None:
        there = Path(api.hf_hub_download(repo_id, README, revision=commit))
    else:
        there = folder / README
    existing = there.read_text(encoding="utf-8") if there.is_file() else ""
    return card_text(folder, existing, repo_id=repo_id).encode()


def pull(
    checkpoint: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | os.PathLike | None = None,
    trust_remote_code: bool = False,
    no_pickles: bool = False,
) -> Path:
    """
    A local folder with `checkpoint`, checked by [`check_checkpoint`] before anything loads it.

    Of a repository, names and sizes are checked before any file is fetched, pickles are not fetched, every file comes
    from one commit, and must have the hash that this commit says.

    Args:
        checkpoint (`str`): A local folder or the id of a repository.
        revision (`str`, *optional*): Branch, tag or commit.
        token (`str`, *optional*): That of `hf auth login` or `HF_TOKEN` if not given.
        cache_dir (`str` or `os.PathLike`, *optional*): The Hub's cache; its usual place if not given.
        trust_remote_code, no_pickles (`bool`, *optional*): As in [`check_checkpoint`].

    Raises:
        `ValueError`: if the checkpoint is refused, with the reason.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    folder = Path(checkpoint)
    if not folder.is_dir():
        with hub_errors(f"Pulling {checkpoint}", token):
            folder = _download(checkpoint, revision, token, cache_dir, no_pickles)
    check_checkpoint(folder, trust_remote_code=trust_remote_code, no_pickles=no_pickles)
    return folder


def _download(repo_id: str, revision, token, cache_dir, no_pickles: bool) -> Path:
    from huggingface_hub import HfApi, constants, snapshot_download
    from huggingface_hub.hf_api import RepoFile

    if constants.HF_HUB_OFFLINE:
        return Path(snapshot_download(repo_id, revision=revision, cache_dir=cache_dir, local_files_only=True))
    api = HfApi(token=token, library_name="hf_midropout")
    commit = api.model_info(repo_id, revision=revision).sha
    tree = [
        entry for entry in api.list_repo_tree(repo_id, recursive=True, revision=commit) if isinstance(entry, RepoFile)
    ]
    check_files({entry.path: entry.size for entry in tree}, no_pickles=no_pickles)
    wanted = [entry for entry in tree if "/" not in entry.path and entry.path.endswith(PULLED_SUFFIXES)]
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
        (folder / name).resolve().unlink()
        (folder / name).unlink(missing_ok=True)
    if changed:
        raise HubError(f"{', '.join(changed)} of {repo_id} arrived changed: not what the commit names. Try again.")
    return folder


def has_hash(path: Path, expected: str) -> bool:
    """Whether the SHA-256 of a file is `expected`, or its git hash if that is what `expected` is."""
    digest = hashlib.sha256() if len(expected) == 64 else hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest() == expected
