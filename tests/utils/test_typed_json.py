"""Dataclasses to JSON and back, and what is refused on the way."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_midropout.utils.typed_json import AtMost, Between, from_json, to_json


@dataclass
class Inner:
    kind: Literal["a", "b"]
    share: Annotated[float, Between(0, 1)]


@dataclass
class Outer:
    name: str
    count: Annotated[int, Between(0, 10)]
    on: bool = False
    inner: Inner | None = None
    many: Annotated[list[Inner], AtMost(2)] = field(default_factory=list)
    table: dict[str, str | int | None] = field(default_factory=dict)
    free: Any = None
    hidden: Any = field(default=None, metadata={"json": False})


inners = st.builds(Inner, st.sampled_from(["a", "b"]), st.floats(0, 1))
outers = st.builds(
    Outer, st.text(), st.integers(0, 10), st.booleans(), st.none() | inners, st.lists(inners, max_size=2),
    st.dictionaries(st.text(), st.text() | st.integers() | st.none()),
)  # fmt: skip


@settings(max_examples=40)
@given(outers)
def test_what_is_written_is_read(value):
    assert from_json(Outer, json.loads(json.dumps(to_json(value)))) == value


def test_what_is_none_or_not_json_is_left_out():
    assert to_json(Outer("x", 1, hidden=object(), table={"a": None})) == {
        "name": "x", "count": 1, "on": False, "many": [], "table": {"a": None},
    }  # fmt: skip
    assert from_json(Outer, {"name": "x", "count": 1, "unknown": 2, "hidden": 3}) == Outer("x", 1)


GOOD = {"name": "x", "count": 1}
BAD = {
    "no object": ([], "it must be an object"),
    "a field is missing": ({"name": "x"}, "count is missing"),
    "a number for a text": (GOOD | {"name": 1}, "name=1: must be a text"),
    "a fraction": (GOOD | {"count": 1.5}, "count=1.5: must be a whole number"),
    "true for a number": (GOOD | {"count": True}, "count=True: must be a whole number"),
    "out of range": (GOOD | {"count": 11}, "count=11: must be 0 to 10"),
    "one for true": (GOOD | {"on": 1}, "on=1: must be true or false"),
    "not in the list": (GOOD | {"inner": {"kind": "c", "share": 0}}, "inner.kind=c: must be one of a, b"),
    "an object for a choice": (GOOD | {"inner": {"kind": {}, "share": 0}}, "inner.kind={}: must be one of"),
    "infinite": (GOOD | {"inner": {"kind": "a", "share": float("inf")}}, "inner.share=inf: must be finite"),
    "not a number": (GOOD | {"inner": {"kind": "a", "share": float("nan")}}, "inner.share=nan: must be finite"),
    "deep inside": (GOOD | {"many": [{"kind": "a", "share": 0}, {"kind": "a"}]}, "many[1].share is missing"),
    "too many": (GOOD | {"many": [{}] * 3}, "many has 3 entries: 2 are allowed"),
    "very many": (GOOD | {"table": dict.fromkeys(map(str, range(100_001)))}, "100,001 entries: 100,000 are allowed"),
    "a list in a table": (GOOD | {"table": {"\x1b[2J": []}}, "table.\\x1b[2J=[]: must be a whole number"),
    "a list for an object": (GOOD | {"table": []}, "table must be an object"),
    "an object for a list": (GOOD | {"many": {}}, "many must be a list"),
}


@pytest.mark.parametrize("what", BAD)
def test_refused_with_its_place(what):
    content, message = BAD[what]
    with pytest.raises(ValueError) as refusal:
        from_json(Outer, content)
    assert message in str(refusal.value) and str(refusal.value).isprintable() and len(str(refusal.value)) < 200
