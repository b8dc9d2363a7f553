"""What is read of a header, without safetensors' own reader, is what that reads."""

import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from hf_midropout.checkpoints.safetensors_checks import DTYPE_BYTES, check_finite, read_header


SHAPES = st.lists(st.integers(0, 3), max_size=3)
TENSORS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.sampled_from(sorted(DTYPE_BYTES)), SHAPES))
CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["begin", "end", "shape", "dtype"]),
        st.sampled_from([-1, 0, 1, 2, 8, 2**63, None, "F32", "F4", [1], [-1]]),
    ),
    max_size=2,
)


def file_of(path, tensors: dict, changes: list) -> None:
    header, end = {}, 0
    for name, (dtype, shape) in tensors.items():
        begin, end = end, end + math.prod(shape) * DTYPE_BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}
    for name, field, value in changes:
        if name in header and field in ("begin", "end"):
            header[name]["data_offsets"][field == "end"] = value
        elif name in header:
            header[name][field] = value
    content = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(content)) + content + bytes(end))


@given(tensors=TENSORS, changes=CHANGES)
def test_what_is_taken_is_taken_by_safetensors_and_the_same(tmp_path_factory, tensors, changes):
    path = tmp_path_factory.getbasetemp() / "law.safetensors"
    file_of(path, tensors, changes)
    try:
        header, _ = read_header(path)
    except ValueError as error:
        assert changes and path.name in str(error)
        return
    with safe_open(path, "numpy") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
        found = {name: (each.get_dtype(), each.get_shape()) for name, each in slices.items()}
    assert {name: (each["dtype"], each["shape"]) for name, each in header.items()} == found
    check_finite(path)


@pytest.mark.parametrize("text", [b'{"a": {}, "a": {}}', b'{"a": {"dtype": "F32", "shape": [1]}}', b" {}", b"[]"])
def test_odd_headers_are_refused(tmp_path, text):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    with pytest.raises(ValueError, match="odd.safetensors"):
        read_header(path)


def test_names_that_safetensors_takes_and_a_terminal_must_not(tmp_path):
    path = tmp_path / "odd.safetensors"
    file_of(path, {"\x1b[2J": ("F32", [1])}, [])
    with safe_open(path, "numpy") as file:
        assert list(file.keys()) == ["\x1b[2J"]
    with pytest.raises(ValueError, match="must be printable"):
        read_header(path)
    path.write_bytes(b"\xff" * 100)
    with pytest.raises(SafetensorError):
        safe_open(path, "numpy").__enter__()
    with pytest.raises(ValueError, match="no safetensors file, or is cut off"):
        read_header(path)
