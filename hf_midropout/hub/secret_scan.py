"""Looks for tokens and keys in what is about to be published."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path


# How each begins, and how it looks at its real length; a mention such as "hf_..." or "sk-learn" is none.
SHAPES = {
    "Hugging Face token": ((b"hf_", b"api_org_"), rb"(?:hf|api_org)_[A-Za-z0-9]{30}"),
    "GitHub token": (
        (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_", b"github_pat_"),
        rb"gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{40}",
    ),
    "GitLab token": ((b"glpat-",), rb"glpat-[A-Za-z0-9_-]{20}"),
    "API key": ((b"sk-",), rb"sk-[A-Za-z0-9_-]{32}"),
    "AWS key": ((b"AKIA", b"ASIA"), rb"A[KS]IA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    "Google key": ((b"AIza",), rb"AIza[A-Za-z0-9_-]{35}"),
    "Slack token": ((b"xox",), rb"xox[abeoprs]-[A-Za-z0-9-]{20}"),
    "npm token": ((b"npm_",), rb"npm_[A-Za-z0-9]{36}"),
    "PyPI token": ((b"pypi-AgEI",), rb"pypi-AgEI[A-Za-z0-9_-]{40}"),
    "private key": ((b"-----BEGIN ",), rb"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY"),
}
WEIGHTS = (".safetensors", ".onnx")
CHUNK = 2**24
OVERLAP = 2**12


def check_no_secret(contents: dict[str, Path | bytes], tokens: Iterable[str]) -> None:
    """
    Refuses what must not be published. Weights are searched for `tokens` and, where they hold texts, for shapes.

    Args:
        contents (`dict[str, Path | bytes]`): What is about to be sent, by name in the repository.
        tokens (`Iterable[str]`): The tokens in use, whatever they look like.

    Raises:
        `ValueError`: naming the file and what was found, without quoting it.
    """
    known = [token.encode() for token in tokens if token]
    for name, content in contents.items():
        found = find(content, known, shapes=not name.endswith(WEIGHTS))
        if found:
            raise ValueError(f"{name} holds {found}: remove it there before publishing.")


def find(content: Path | bytes, known: list[bytes], shapes: bool = True) -> str | None:
    """What `content` holds, in words; `None` if nothing was found."""
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    read: Callable[[int, int], bytes]
    if isinstance(content, bytes):
        read = lambda start, stop: content[start:stop]  # noqa: E731
    else:

        def read(start: int, stop: int) -> bytes:
            with content.open("rb") as file:
                file.seek(start)
                return file.read(stop - start)

    for start in range(0, size, CHUNK):
        part = read(start, start + CHUNK + OVERLAP)
        # Of a file of weights, the header comes first.
        found = look(part, known, shapes or start == 0)
        if found:
            return found
    return None


def look(part: bytes, known: list[bytes], shapes: bool) -> str | None:
    """[`find`] in bytes, also where each letter is followed by a zero, as UTF-16 writes it."""
    for text in (part, part.replace(b"\0", b"")) if b"\0" in part else (part,):
        if any(token in text for token in known):
            return "the access token"
        for kind, (beginnings, shape) in SHAPES.items() if shapes else ():
            if any(begins(text, beginning, re.compile(shape)) for beginning in beginnings):
                return f"what looks like {'an' if kind[0] in 'A' else 'a'} {kind}"
    return None


def begins(text: bytes, beginning: bytes, shape: re.Pattern[bytes]) -> bool:
    """Whether `shape` matches where `beginning` stands, not within a word: a search for its letters alone is fast."""
    place = text.find(beginning)
    while place >= 0:
        if shape.match(text, place) and not (place and text[place - 1 : place].isalnum()):
            return True
        place = text.find(beginning, place + 1)
    return False
