"""Checks the values of a stranger's `config.json`: types, names of implementations, labels. Needs no torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..utils.terminal import one_line


IMPLEMENTATIONS = {
    "attn": {
        "eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4", "flex_attention",
        "paged|eager",
    },
    "experts": {"eager", "batched_mm", "grouped_mm"},
}  # fmt: skip
"""What needs no code of a repository of kernels."""

IMPLEMENTATION_KEY = re.compile(r"_*(attn|attention|experts?)_implementation.*")
# Keys with which a config replaces attributes of transformers' class, such as the names under which others are known.
REPLACING = ("attribute_map", "sub_configs", "transformers_weights", "base_config_key", "has_no_defaults_at_init")
MAX_DEPTH = 12
MAX_TEXT = 100_000
MAX_TOKEN_ID = 2**31


def walk(content: dict[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Every key and value of `content` and of the objects in it, also of those in lists, but for the labels' names."""
    if depth > MAX_DEPTH:
        raise ValueError(f"config.json: objects more than {MAX_DEPTH} deep are refused.")
    for key, value in content.items():
        yield key, value
        if key in ("id2label", "label2id"):
            continue
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                yield from walk(inner, depth + 1)


def check_values(config: dict[str, Any]) -> None:
    """`ValueError` for values that name code from elsewhere, or that are not of the type that readers rely on."""
    model_type = config.get("model_type")
    if not isinstance(model_type, (str, type(None))):
        raise refusal("model_type", model_type, "must be a text")
    for key, value in walk(config):
        check_implementation(key, value)
        if key in REPLACING:
            raise refusal(key, value, "would load code or weights from elsewhere")
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise refusal(key, value, f"at most {MAX_TEXT:,} characters are allowed")
        if key.endswith("_token_id"):
            for number in value if isinstance(value, list) else [value]:
                if number is not None and not (is_whole(number) and -1 <= number < MAX_TOKEN_ID):
                    raise refusal(key, value, "must be the number of a token")
        activation = key.endswith(("_act", "_activation", "activation_function")) and isinstance(value, str)
        if activation and not re.fullmatch(r"[\w+-]{1,64}", value):
            raise refusal(key, value, "must be the name of an activation function")
    check_labels(config)


def check_implementation(key: str, value: Any) -> None:
    """`ValueError` if `key` says how attention or experts are computed, and `value` is not transformers' own."""
    match = IMPLEMENTATION_KEY.fullmatch(key)
    if not match:
        return
    allowed = IMPLEMENTATIONS["experts" if match[1].startswith("expert") else "attn"]
    names = value.values() if isinstance(value, dict) else [value]
    if not all(name is None or (isinstance(name, str) and name in allowed) for name in names):
        raise refusal(key, value, f"would load code from elsewhere; must be one of {', '.join(sorted(allowed))}")


def check_labels(config: dict[str, Any]) -> None:
    """`ValueError` unless the labels' names are an object with the numbers of classes as keys."""
    names = config.get("id2label")
    if names is not None and not (
        isinstance(names, dict)
        and all(key.isascii() and key.isdigit() and len(key) < 10 for key in names)
        and all(isinstance(name, (str, int, float)) for name in names.values())
    ):
        raise refusal("id2label", names, "must be an object of class numbers and names")
    numbers = config.get("label2id")
    if numbers is not None and not (
        isinstance(numbers, dict)
        and all(is_whole(number) or (isinstance(number, str) and number.isdigit()) for number in numbers.values())
    ):
        raise refusal("label2id", numbers, "must be an object of names and class numbers")


def check_widths(config: dict[str, Any], limit: int) -> None:
    """`ValueError` unless `head_widths` of a MIDropout model is a list of widths of at most `limit`."""
    widths = config.get("head_widths")
    listed = widths if isinstance(widths, list) else []
    if not 0 < len(listed) <= 1_000 or not all(is_whole(width) and 0 < width <= limit for width in listed):
        raise refusal("head_widths", widths, f"must be widths of 1 to {limit:,} neurons")


def is_whole(value: Any) -> bool:
    """Whether `value` is an integer, and no bool."""
    return isinstance(value, int) and not isinstance(value, bool)


def refusal(key: str, value: Any, why: str) -> ValueError:
    """The error that names a value of `config.json`."""
    return ValueError(f"config.json: {one_line(key, 60)}={one_line(value, 80)} is refused: {why}.")
