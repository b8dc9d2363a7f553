"""Dataclasses as JSON, and JSON of strangers as dataclasses: types, ranges and counts are checked while reading."""

from __future__ import annotations

import math
import types
from collections.abc import Callable
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .terminal import one_line


MAX_ITEMS = 100_000
"""Of a list or an object that no `AtMost` is given for."""

T = TypeVar("T")


@dataclass(frozen=True)
class Between:
    """Of a number, in `Annotated`: `low` (`float`) and `high` (`float`), both allowed."""

    low: float
    high: float


@dataclass(frozen=True)
class AtMost:
    """Of a list or an object, in `Annotated`: `items` (`int`)."""

    items: int


def to_json(value: Any) -> Any:
    """
    JSON-ready content of a dataclass, at any depth. Fields that are `None` are left out, as are those of
    `metadata={"json": False}`.
    """
    if is_dataclass(value):
        content = {each.name: getattr(value, each.name) for each in fields(value) if each.metadata.get("json", True)}
        return {name: to_json(inner) for name, inner in content.items() if inner is not None}
    if isinstance(value, dict):
        return {key: to_json(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(inner) for inner in value]
    return value


def from_json(cls: Callable[..., T], content: Any, where: str = "") -> T:
    """
    An object of the dataclass `cls`. Keys that it does not know are ignored.

    Args:
        cls (`type`): A dataclass whose fields are numbers, texts, lists, objects, dataclasses, or `Any`; `Annotated`
            gives their limits.
        content (`Any`): What a JSON file holds.
        where (`str`, *optional*): What `content` is called in messages.

    Raises:
        `ValueError`: naming the first value that is none of its type, out of range, or one of too many.
    """
    if not isinstance(content, dict):
        raise ValueError(f"{where or 'it'} must be an object")
    values = {}
    for name, (hint, required) in _fields(cls).items():
        inner = f"{where}.{name}" if where else name
        if name in content:
            values[name] = _read(hint, content[name], inner)
        elif required:
            raise ValueError(f"{inner} is missing")
    return cls(**values)


@cache
def _fields(cls: Any) -> dict[str, tuple[Any, bool]]:
    """The type of each field, and whether it has to be there."""
    hints = get_type_hints(cls, include_extras=True)
    return {
        each.name: (hints[each.name], each.default is MISSING and each.default_factory is MISSING)
        for each in fields(cls)
        if each.metadata.get("json", True)
    }


def _read(hint: Any, value: Any, where: str, limits: tuple[Any, ...] = ()) -> Any:
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *limits_of_it = get_args(hint)
        return _read(inner, value, where, tuple(limits_of_it))
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _read_union(get_args(hint), value, where, limits)
    if origin is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            raise ValueError(f"{where}={one_line(value, 40)}: must be one of {', '.join(get_args(hint))}")
        return value
    if origin is list:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list")
        _check_count(value, where, limits)
        return [_read(get_args(hint)[0], each, f"{where}[{number}]") for number, each in enumerate(value)]
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{where} must be an object")
        _check_count(value, where, limits)
        return {key: _read(get_args(hint)[1], each, f"{where}.{one_line(key, 40)}") for key, each in value.items()}
    if is_dataclass(hint):
        return from_json(hint, value, where)  # type: ignore[arg-type]
    return _read_plain(hint, value, where, limits)


def _read_union(options: tuple[Any, ...], value: Any, where: str, limits: tuple[Any, ...]) -> Any:
    if value is None and type(None) in options:
        return None
    options = tuple(option for option in options if option is not type(None))
    for option in options[:-1]:
        with suppress(ValueError):
            return _read(option, value, where, limits)
    return _read(options[-1], value, where, limits)


def _read_plain(kind: Any, value: Any, where: str, limits: tuple[Any, ...]) -> Any:
    name = {str: "a text", bool: "true or false", int: "a whole number", float: "a number"}[kind]
    accepted: Any = (int, float) if kind is float else kind
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{where}={one_line(value, 40)}: must be {name}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where}={value}: must be finite")
    for limit in limits:
        if isinstance(limit, Between) and not limit.low <= value <= limit.high:
            raise ValueError(f"{where}={one_line(value, 40)}: must be {limit.low:,.6g} to {limit.high:,.6g}")
    return value


def _check_count(values: Any, where: str, limits: tuple[Any, ...]) -> None:
    limit = next((each.items for each in limits if isinstance(each, AtMost)), MAX_ITEMS)
    if len(values) > limit:
        raise ValueError(f"{where} has {len(values):,} entries: {limit:,} are allowed")
