"""Docstrings as Hugging Face writes them, for mkdocstrings: [`~a.Name`] becomes a link, or code where there is none."""

from __future__ import annotations

import re
from pathlib import Path

import griffe


REFERENCE = re.compile(r"\[`~?([\w.]+)`\](?!\()")
DIRECTIVE = re.compile(r"^::: (\S+)", re.M)
SECTION = re.compile(r"^(Returns|Raises|Yields):$")
ENTRY = re.compile(r"^\s+(`[^`]+`|\[`[^`]+`\])(:|$)")
DOCS = Path(__file__).parent.parent / "docs"


def documented() -> dict[str, str]:
    """The path of every object that a page of the reference shows, by its last name."""
    found = [path for page in DOCS.rglob("*.md") for path in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]
    return {path.rpartition(".")[2]: path for path in found}


def indented(docstring: str) -> str:
    """With the lines that go on with an entry of `Returns:` or `Raises:` indented, as Google's style wants it."""
    lines, within, entered = [], False, False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            within, entered = bool(SECTION.match(line)), False
        elif within and ENTRY.match(line):
            entered = True
        elif within and entered and line.strip():
            line = "    " + line
        lines.append(line)
    return "\n".join(lines)


class HuggingFaceReferences(griffe.Extension):
    """Changes docstrings as they are loaded."""

    def __init__(self) -> None:
        self.paths = documented()

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring is not None:
            obj.docstring.value = REFERENCE.sub(self._link, indented(obj.docstring.value))

    def _link(self, match: re.Match[str]) -> str:
        name = match[1].rpartition(".")[2]
        return f"[`{name}`][{self.paths[name]}]" if name in self.paths else f"`{name}`"
