"""Checks safetensors files without loading them: header, sizes, finite values. Needs neither torch nor much memory."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np


MAX_HEADER_BYTES = 16 * 2**20
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
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is no safetensors file: its header is not JSON.") from error
    if not isinstance(header, dict):
        raise ValueError(f"{path.name} is no safetensors file: its header is no object.")
    header.pop("__metadata__", None)
    end = 0
    for name, tensor in sorted(header.items(), key=lambda item: _offsets(path, *item)):
        begin, stop = _offsets(path, name, tensor)
        shape = tensor.get("shape")
        if not isinstance(shape, list) or not all(isinstance(width, int) and width >= 0 for width in shape):
            raise ValueError(f"{path.name}: {name} has the shape {str(shape)[:80]}: must be sizes of 0 or more.")
        width = DTYPE_BYTES.get(str(tensor.get("dtype")))
        if width is None:
            raise ValueError(f"{path.name}: {name} has the dtype {str(tensor.get('dtype'))[:80]}, which is unknown.")
        if begin != end or stop - begin != math.prod(shape) * width:
            raise ValueError(f"{path.name}: {name} of shape {shape} does not fill its place in the file.")
        end = stop
    if end != size - 8 - length:
        raise ValueError(f"{path.name} holds {size - 8 - length:,} bytes of data, but its header describes {end:,}.")
    return header, 8 + length


def _offsets(path: Path, name: str, tensor: Any) -> tuple[int, int]:
    offsets = tensor.get("data_offsets") if isinstance(tensor, dict) else None
    if isinstance(offsets, list) and len(offsets) == 2 and all(isinstance(number, int) for number in offsets):
        return offsets[0], offsets[1]
    raise ValueError(f"{path.name}: {name[:80]} has no place in the file.")


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
                raise ValueError(f"{path.name}: {name} holds {bad:,} NaN or infinite values.")
