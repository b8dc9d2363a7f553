"""
The values per neuron of a record, beside its JSON: `bits`, `stderr`, `p_value` and `kept` of each layer and step. Of
an encoder, `importance` and `kept` of each group.

A folder may be written to and read while a training runs, and the training may be killed at any moment. So the arrays
are written first: the JSON that is there goes on to find its own among them, as a record only grows. Where it would
not, because it is of another training, it is removed first. Each JSON holds the SHA-256 of its arrays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.safetensors_checks import read_header
from ...utils.files import write_bytes, write_json
from ...utils.json_files import read_json
from ...utils.report_names import MAX_ARRAYS_BYTES, arrays_name, json_name
from ...utils.safe_paths import check_link
from .schema import MAX_BITS, Pruning, Scores


Arrays = dict[str, np.ndarray]
ArraySets = Iterable[tuple[dict[str, int], str]]
"""Names with their sizes, the last part of a name being what it holds, and the SHA-256 of all."""

VALUES = ("bits", "stderr", "p_value")
KEPT, IMPORTANCE = "kept", "importance"
AFTER = "after"


def array_name(step: int | str, layer: str, value: str) -> str:
    """The name of a tensor: of a pruning step by its number from 0, or of `AFTER`."""
    return f"{step}/{layer}/{value}"


def digest(arrays: Iterable[np.ndarray]) -> str:
    """The SHA-256 of `arrays`, one after the other, in hexadecimal digits."""
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def named_arrays(pruning: Pruning) -> ArraySets:
    """The arrays that `pruning` is about."""
    scored: list[tuple[int | str, Scores]] = [(step, each.scores) for step, each in enumerate(pruning.pruning_steps)]
    if pruning.after:
        scored.append((AFTER, pruning.after))
    for step, scores in scored:
        neurons = {name: layer.neurons for name, layer in scores.layers.items()}
        values = {array_name(step, name, value): size for name, size in neurons.items() for value in VALUES}
        yield values, scores.sha256
    for step, each in enumerate(pruning.pruning_steps):
        if each.selection:
            neurons = {name: layer.neurons for name, layer in each.scores.layers.items()}
            masks = {array_name(step, name, KEPT): neurons[name] for name in each.selection.layers}
            yield masks, each.selection.sha256


def save_with_arrays(folder: Path, stem: str, content: dict[str, Any], arrays: Arrays) -> None:
    """
    Writes `content` and the `arrays` it is about into two files of `folder`; read at any moment, also after a kill in
    the middle, the two are one whole record, or there is none.

    Args:
        folder (`Path`): Made if it does not exist.
        stem (`str`): The names of the files without their endings.
        content (`dict`): JSON-ready.
        arrays (`dict[str, numpy.ndarray]`): By name.
    """
    from safetensors.numpy import save

    path = folder / json_name(stem)
    if not _goes_with(path, content):
        path.unlink(missing_ok=True)
    write_bytes(folder / arrays_name(stem), save(arrays))
    write_json(path, content)


def read_arrays(folder: Path, stem: str, sets: ArraySets) -> Arrays:
    """
    Arrays in `folder`, by name.

    Args:
        folder (`Path`): Where they are.
        stem (`str`): The name of their file without its ending.
        sets (`Iterable`): The arrays that the JSON beside them is about, as [`named_arrays`] gives them.

    Raises:
        `ValueError`: if they are not there, not those of the JSON, or hold what no neuron has.
    """
    path = folder / arrays_name(stem)
    if path.is_symlink():
        check_link(folder, path)
    if not path.is_file():
        raise ValueError(f"{path.name} is missing, which holds its values per neuron")
    if path.stat().st_size > MAX_ARRAYS_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size:,} bytes: {MAX_ARRAYS_BYTES:,} are allowed")
    header, start = read_header(path)
    arrays: Arrays = {}
    with path.open("rb") as file:
        for sizes, sha256 in sets:
            for name, size in sizes.items():
                tensor, value = header.get(name), name.rpartition("/")[2]
                dtype = "BOOL" if value == KEPT else "F64"
                if tensor is None or tensor["dtype"] != dtype or tensor["shape"] != [size]:
                    raise ValueError(f"{path.name} does not hold its values per neuron")
                begin, stop = tensor["data_offsets"]
                file.seek(start + begin)
                arrays[name] = np.frombuffer(file.read(stop - begin), "u1" if value == KEPT else "<f8").copy()
                check_values(arrays[name], value)
                if value == KEPT:
                    arrays[name] = arrays[name].astype(bool)
            if digest(arrays[name] for name in sizes) != sha256:
                raise ValueError(f"{path.name} is of another one: its values per neuron are not those it was made of")
    return arrays


def check_values(values: np.ndarray, value: str) -> None:
    """`ValueError` for bits that no label has, masks that are neither 0 nor 1, and importances that are infinite."""
    if value in VALUES and not ((values >= -1e-6) & (values <= MAX_BITS)).all():  # nor NaN
        raise ValueError(f"bits and their errors must be numbers of 0 to {MAX_BITS:g}")
    if value == KEPT and (values > 1).any():
        raise ValueError("masks must be of zeros and ones")
    if value == IMPORTANCE and not np.isfinite(values).all():
        raise ValueError("importances must be finite")


def _goes_with(path: Path, content: dict[str, Any]) -> bool:
    """Whether the JSON file at `path` would find its arrays among those of `content`."""
    try:
        return set(_digests(read_json(path))) <= set(_digests(content))
    except (OSError, ValueError):
        return False


def _digests(content: Any) -> Iterable[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            if key == "sha256":
                yield str(value)
            else:
                yield from _digests(value)
    elif isinstance(content, list):
        for value in content:
            yield from _digests(value)
