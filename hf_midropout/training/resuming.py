"""Which of a training's checkpoints are whole: told from their files, which are neither loaded nor unpickled."""

from __future__ import annotations

import json
import logging
import os
import re
import zipfile
from pathlib import Path
from typing import Any

from ..utils.report_names import REPORT_ARRAYS


CHECKPOINT = re.compile(r"checkpoint-(\d+)")
STATE = "trainer_state.json"
INDEX_SUFFIX = ".safetensors.index.json"
ARCHIVES = (".pt", ".pth", ".bin")
"""Suffixes of what `torch.save` writes: zip files, whose table of contents is at the end."""

logger = logging.getLogger(__name__)


def last_whole_checkpoint(folder: str | os.PathLike) -> str | None:
    """
    The newest checkpoint from which a [`~transformers.Trainer`] can go on: a kill or a full disk while one was being
    written leaves it cut short, and `resume_from_checkpoint=True` would fail on it. What is skipped is logged as a
    warning, with the reason.

    Args:
        folder (`str` or `os.PathLike`): The `output_dir` of a training.

    Returns:
        `str`, *optional*: the path of a folder `checkpoint-N`; `None` if none is whole.

    Example:

    ```python
    trainer.train(resume_from_checkpoint=last_whole_checkpoint("out"))
    ```
    """
    last, skipped = find_last_whole(folder)
    for name, reason in skipped.items():
        logger.warning("%s in %s is skipped: %s", name, folder, reason)
    return last


def find_last_whole(folder: str | os.PathLike) -> tuple[str | None, dict[str, str]]:
    """The same, and by name why newer ones were skipped."""
    skipped: dict[str, str] = {}
    for path in reversed(checkpoints(folder)):
        reason = defect(path)
        if reason is None:
            return str(path), skipped
        skipped[path.name] = reason
    return None, skipped


def checkpoints(folder: str | os.PathLike) -> list[Path]:
    """The folders `checkpoint-N` in `folder`, in the order of their steps."""
    folder = Path(folder)
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if CHECKPOINT.fullmatch(path.name) and path.is_dir()]
    return sorted(found, key=lambda path: int(path.name.rpartition("-")[2]))


def defect(checkpoint: Path) -> str | None:
    """Why a Trainer cannot go on from `checkpoint` (a folder `checkpoint-N`); `None` if it is whole."""
    try:
        names = sorted(path.name for path in checkpoint.iterdir() if path.is_file())
        contents = {name: _read_json(checkpoint / name) for name in names if name.endswith(".json")}
        state = contents.get(STATE)
        if state is None:
            return f"it has no {STATE}, which is written last."
        step = state.get("global_step") if isinstance(state, dict) else None
        if step != int(checkpoint.name.rpartition("-")[2]):
            return f"{STATE} is of step {step}."
        tensors = {name: _tensor_names(checkpoint / name) for name in names if name.endswith(".safetensors")}
        for name in names:
            if name.endswith(ARCHIVES):
                _check_archive(checkpoint / name)
            elif name.endswith(INDEX_SUFFIX):
                _check_index(name, contents[name], tensors)
        return _missing(checkpoint, names)
    except (OSError, ValueError) as error:
        return str(error)


def _missing(checkpoint: Path, names: list[str]) -> str | None:
    sharded = [path for path in checkpoint.iterdir() if path.is_dir()]  # of FSDP and DeepSpeed, with names of theirs
    if not sharded and not any(
        name.endswith((".safetensors", ".bin")) and name not in ("training_args.bin", REPORT_ARRAYS) for name in names
    ):
        return "it has no weights."
    parts = {
        "optimizer.pt": any(name.startswith("optimizer") for name in names),
        "scheduler.pt": "scheduler.pt" in names,
        "rng_state.pth": any(name.startswith("rng_state") for name in names),
    }
    # All three are left out with `save_only_model`.
    if any(parts.values()) and not all(parts.values()) and not sharded:
        return f"it has no {next(name for name, there in parts.items() if not there)}."
    ranks = {int(match[1]) for name in names if (match := re.fullmatch(r"rng_state_(\d+)\.pth", name))}
    absent = set(range(max(ranks, default=-1) + 1)) - ranks or ({1} if ranks == {0} else set())
    if absent:  # the file of a single process has no number
        return f"it has no rng_state_{min(absent)}.pth."
    return None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is cut off or no JSON.") from error


def _tensor_names(path: Path) -> set[str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:  # compares header and length; reads no tensor
            return set(file.keys())
    except SafetensorError as error:
        raise ValueError(f"{path.name} is cut off or no safetensors file.") from error


def _check_index(name: str, content: Any, tensors: dict[str, set[str]]) -> None:
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict):
        raise ValueError(f"{name} has no weight_map.")
    for tensor, file in weight_map.items():
        if file not in tensors:
            raise ValueError(f"{file}, which {name} names, is missing.")
        if tensor not in tensors[file]:
            raise ValueError(f"{file} lacks {tensor}, which {name} says it has.")


def _check_archive(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            # Checksums are not compared: torch can be told not to write them.
            for entry in archive.infolist():
                archive.open(entry).close()  # its own header must be where the table of contents says
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{path.name} is cut off or no archive of torch.") from error
