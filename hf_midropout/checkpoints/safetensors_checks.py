"""Checks safetensors files without loading them: header, sizes, finite values. Needs neither torch nor much memory."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.json_files import MAX_NUMBER, parse_json
from ..utils.terminal import one_line


MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 50_000
MAX_DIMENSIONS = 16
MAX_NAME = 500
CHUNK_BYTES = 16 * 2**20
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip
# Integer of the same width, and the bits of the exponent: all set means infinite or NaN. numpy lacks bfloat16.
EXPONENTS = {
    "F16": ("<u2", 0x7C00),
    "BF16": ("<u2", 0x7F80),
    "F32": ("<u4", 0x7F800000),
    "F64": ("<u8", 0x7FF0000000000000),
}


def read_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """
    The shape of every tensor of a safetensors file.

    Raises:
        `ValueError`: if the file is no safetensors file, or its header does not describe its bytes.
    """
    return {name: tuple(tensor["shape"]) for name, tensor in read_header(path)[0].items()}


def read_header(path: Path) -> tuple[dict[str, dict[str, Any]], int]:
    """The checked header (tensor name → `dtype`, `shape`, `data_offsets`), and where the data begin in the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, MAX_HEADER_BYTES):
            raise ValueError(
                f"{path.name} is no safetensors file, or is cut off: its header would take {length:,} bytes."
            )
        text = file.read(length)
    tensors = text.count(b'"data_offsets"')  # before seconds go into reading them
    if tensors > MAX_TENSORS:
        raise ValueError(f"{path.name} has {tensors:,} tensors: {MAX_TENSORS:,} are allowed.")
    try:
        header = parse_json(text, "its header")
    except ValueError as error:
        raise ValueError(f"{path.name} is no safetensors file: {error}") from error
    if not text.startswith(b"{"):
        raise ValueError(f"{path.name} is no safetensors file: its header begins with {text[:1]!r}.")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{path.name} is no safetensors file: its metadata must be texts.")
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: _offsets(path, *item)):
        begin, stop = _offsets(path, name, tensor)
        shape, label = tensor.get("shape"), one_line(name, 120)
        if not name.isprintable() or len(name) > MAX_NAME:
            raise ValueError(f"{path.name}: the tensor name {label} is refused: must be printable and short.")
        if not isinstance(shape, list) or not all(type(width) is int and width >= 0 for width in shape):
            raise ValueError(f"{path.name}: {label} has the shape {one_line(shape, 80)}: must be sizes of 0 or more.")
        if len(shape) > MAX_DIMENSIONS or math.prod(shape) >= MAX_NUMBER:
            raise ValueError(f"{path.name}: {label} has the shape {one_line(shape, 80)}, which is too large.")
        dtype = tensor.get("dtype")
        width = DTYPE_BYTES.get(dtype) if isinstance(dtype, str) else None
        if width is None:
            raise ValueError(f"{path.name}: {label} has the dtype {one_line(dtype, 80)}, which is unknown.")
        if begin != end or stop - begin != math.prod(shape) * width:
            raise ValueError(f"{path.name}: {label} of shape {shape} does not fill its place in the file.")
        end = stop
    if end != size - 8 - length:
        raise ValueError(f"{path.name} holds {size - 8 - length:,} bytes of data, but its header describes {end:,}.")
    return header, 8 + length


def _offsets(path: Path, name: str, tensor: Any) -> tuple[int, int]:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if isinstance(offsets, list) and len(offsets) == 2 and all(type(number) is int for number in offsets):
        return offsets[0], offsets[1]
    raise ValueError(f"{path.name}: {one_line(name, 120)} has no place in the file.")


def check_finite(path: Path) -> None:
    """`ValueError`, naming tensor and count, if a floating-point tensor holds a NaN or infinite value."""
    header, data = read_header(path)
    with path.open("rb") as file:
        for name, tensor in header.items():
            if tensor["dtype"] not in EXPONENTS:
                continue
            integer, exponent = EXPONENTS[tensor["dtype"]]
            begin, stop = tensor["data_offsets"]
            file.seek(data + begin)
            bad, left = 0, stop - begin
            while left:
                chunk = np.frombuffer(file.read(min(left, CHUNK_BYTES)), integer)
                bad += int(((chunk & exponent) == exponent).sum())
                left -= chunk.nbytes
            if bad:
                raise ValueError(f"{path.name}: {one_line(name, 120)} holds {bad:,} NaN or infinite values.")
