"""Checks a checkpoint's files before anything loads them: what comes from a stranger is data, never code."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ..model_types import brings_code, is_own
from ..utils.json_files import MAX_JSON_BYTES, parse_json, read_json
from ..utils.report_names import COMPACT, MAX_ARRAYS_BYTES, REPORT_ARRAYS
from ..utils.safe_paths import check_link, files_of
from ..utils.terminal import one_line
from ..utils.tokenizer_files import LARGE_TOKENIZER_FILES
from .config_checks import check_values, check_widths
from .head_shapes import check_shapes
from .safetensors_checks import MAX_TENSORS, check_finite, read_header
from .size_checks import MAX_WIDTH, Weights, check_sizes, check_total


WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
ADAPTER = "adapter_config.json"
ADAPTER_REFUSED = (
    f"holds a PEFT adapter ({ADAPTER}), which names another checkpoint to load: merge it into that one first, with "
    "peft's model.merge_and_unload().save_pretrained(folder)."
)
MAX_SHARDS = 1_000
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".npy", ".npz", ".h5")
READ_SUFFIXES = (".json", ".jinja", ".txt", ".model", ".md", ".html", ".py")
"""Of files that transformers or this package read whole into memory."""

MAX_TOKENIZER_BYTES = 128 * 2**20


def checkpoint_folder(path: str | os.PathLike) -> Path:
    """
    The folder with the checkpoint: `path` itself, or the `compact` one in the output of `hf-midropout train`.

    Raises:
        `ValueError`: if neither has a `config.json`.
    """
    path = Path(path)
    if (path / COMPACT).is_symlink():
        check_link(path, path / COMPACT)
    for folder in (path / COMPACT, path):
        if (folder / "config.json").is_file():
            return folder
    if (path / ADAPTER).is_file():
        raise ValueError(f"{path} {ADAPTER_REFUSED}")
    found = "" if path.is_dir() else "there is no such folder; " if not path.exists() else "this is a file; "
    raise ValueError(
        f"{path}: {found}must be a folder with a checkpoint (config.json), or the output of hf-midropout train."
    )


def check_checkpoint(
    folder: str | os.PathLike, *, trust_remote_code: bool = False, no_pickles: bool = False
) -> Weights:
    """
    Refuses a checkpoint that is not what it says it is, within a second or so, loading nothing.

    Args:
        folder (`str` or `os.PathLike`): A folder with a `config.json`.
        trust_remote_code (`bool`, *optional*, defaults to `False`): Whether the user agreed to run code of the
            checkpoint, should its model be neither in transformers nor in this package.
        no_pickles (`bool`, *optional*, defaults to `False`): Refuse pickles even where no one would load them.

    Returns:
        [`Weights`]: the shapes and dtypes of its tensors.

    Raises:
        `ValueError`: with the reason: pickles, file names that lead elsewhere, sizes that are negative, huge or not
            those of the weights, NaN weights, code without consent, JSON files that are too large.
    """
    folder = Path(folder)
    check_files(files_of(folder), no_pickles=no_pickles)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has no config.json: must be a folder with a checkpoint.")
    config = read_json(folder / "config.json")
    check_values(config)
    if is_own(config.get("model_type")):
        check_widths(config, MAX_WIDTH)
    check_code(config, trust_remote_code)
    if (folder / "tokenizer_config.json").is_file():
        content = (folder / "tokenizer_config.json").read_bytes()
        # "no limit" on lengths is written as 10**30
        check_code(parse_json(content, "tokenizer_config.json", 10**40), trust_remote_code, "tokenizer_config.json")
    weights = Weights()
    for name in weight_files(folder):
        for tensor, values in read_header(folder / name)[0].items():
            weights.shapes[tensor], weights.dtypes[tensor] = tuple(values["shape"]), values["dtype"]
        if len(weights.shapes) > MAX_TENSORS:
            raise ValueError(f"The weights have more than {MAX_TENSORS:,} tensors.")
    if not weights.shapes:
        raise ValueError("The weights hold no tensor.")
    check_sizes(config, weights)
    check_shapes(config, weights.shapes)
    check_total(config, weights)
    for name in weight_files(folder):
        check_finite(folder / name)
    return weights


def check_files(sizes: dict[str, int], *, no_pickles: bool = False) -> None:
    """`ValueError` for names and sizes that a checkpoint must not have; `sizes` in bytes, by path."""
    check_names(sizes)
    if ADAPTER in sizes:
        raise ValueError(f"The checkpoint {ADAPTER_REFUSED}")
    pickles = [name for name in sizes if name.lower().endswith(PICKLE_SUFFIXES)]
    if not {WEIGHTS, INDEX} & sizes.keys():
        found = f"only {', '.join(pickles[:3])}, which can run code when loaded" if pickles else "none"
        raise ValueError(f"The weights must be in {WEIGHTS}: there is {found}.")
    if pickles and no_pickles:
        raise ValueError(f"{', '.join(pickles[:3])}: a pickle can run code when loaded; only safetensors are allowed.")
    if sizes.get(REPORT_ARRAYS, 0) > MAX_ARRAYS_BYTES:
        raise ValueError(f"{REPORT_ARRAYS} has {sizes[REPORT_ARRAYS]:,} bytes: {MAX_ARRAYS_BYTES:,} are allowed.")
    for name, size in sizes.items():
        if name.endswith(READ_SUFFIXES) and ("/" not in name or name.startswith("additional_chat_templates/")):
            limit = MAX_TOKENIZER_BYTES if name in LARGE_TOKENIZER_FILES else MAX_JSON_BYTES
            if size > limit:
                raise ValueError(f"{one_line(name)} has {size:,} bytes: {limit:,} are allowed.")


def check_names(names: Iterable[str]) -> None:
    """`ValueError` for a path that could lead out of the folder it is put into."""
    for name in names:
        parts = PurePosixPath(name).parts
        if (
            not parts
            or ".." in parts
            or name.startswith("/")
            or "\\" in name
            or PureWindowsPath(name).drive
            or not name.isprintable()
        ):
            raise ValueError(
                f"The file name {name[:120]!r} is refused: it must be a plain path inside the checkpoint."
            )


def weight_files(folder: Path) -> list[str]:
    """The names of the safetensors files, from the index if there is one; all exist, directly in `folder`."""
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    weight_map = read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise ValueError(f"{INDEX} has no weight_map of file names.")
    names = sorted(set(weight_map.values()))
    if len(names) > MAX_SHARDS:
        raise ValueError(f"{INDEX} names {len(names):,} files: {MAX_SHARDS:,} are allowed.")
    check_names(names)
    for name in names:
        if "/" in name or not name.endswith(".safetensors") or not (folder / name).is_file():
            raise ValueError(f"{INDEX} names {one_line(name, 120)!r}: must be a safetensors file of the checkpoint.")
    return names


def check_code(content: dict[str, Any], trusted: bool, name: str = "config.json") -> None:
    """`ValueError` if loading needs code that comes with the checkpoint, and the user did not agree to run it."""
    if not content.get("auto_map") or trusted:
        return
    if name == "config.json" and brings_code(content.get("model_type")):
        return  # whose code is here
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES  # a second; brings no torch

    if name == "config.json" and content.get("model_type") in CONFIG_MAPPING_NAMES:
        return
    raise ValueError(
        f"{name} asks to run code that comes with the checkpoint ({one_line(content['auto_map'], 120)}): read that "
        "code, then agree with --trust_remote_code true."
    )
