"""
Docstrings as Hugging Face writes them, for mkdocstrings: [`~a.Name`] becomes a link, or code where there is none;
types lose their backticks, and defaults, which signatures show; what goes on in the next line is indented; helps of
options become descriptions of parameters.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import griffe


REFERENCE = re.compile(r"\[`~?([\w.]+)`\](?!\()")
DIRECTIVE = re.compile(r"^::: (\S+)", re.M)
PARAMETERS = re.compile(r"^( {4}[\w, *]+) \((.+?)\):(\s|$)")
OUTCOME = re.compile(r"^( {4})(\[?`[^`]+`\]?):(\s|$)")
SECTION = re.compile(r"^(Returns|Raises|Yields):$")
DOCS = Path(__file__).parent.parent / "docs"


def documented() -> dict[str, str]:
    """The path of every object that a page of the reference shows, by its last name."""
    found = [path for page in DOCS.rglob("*.md") for path in DIRECTIVE.findall(page.read_text(encoding="utf-8"))]
    return {path.rpartition(".")[2]: path for path in found}


def plain(types: str) -> str:
    """Types without markup and defaults."""
    types = re.sub(r", \*optional\*.*", ", optional", types)
    return REFERENCE.sub(lambda match: match[1].rpartition(".")[2], types).replace("`", "")


def as_google(docstring: str) -> str:
    """What differs in `Args:`, `Returns:` and `Raises:`."""
    lines, within, entered = [], False, False
    for line in docstring.splitlines():
        if line and not line.startswith(" "):
            within, entered = bool(SECTION.match(line)), False
        elif within and OUTCOME.match(line):
            entered = True
            line = OUTCOME.sub(lambda match: f"{match[1]}{plain(match[2])}:{match[3]}", line)
        elif within and entered and line.strip():
            line = "    " + line
        else:
            line = PARAMETERS.sub(lambda match: f"{match[1]} ({plain(match[2])}):{match[3]}", line)
        lines.append(line)
    return "\n".join(lines)


class HuggingFaceReferences(griffe.Extension):
    """Changes docstrings as they are loaded."""

    def __init__(self) -> None:
        self.paths = documented()

    def on_instance(self, *, obj: griffe.Object, **kwargs) -> None:
        if obj.docstring is not None:
            obj.docstring.value = REFERENCE.sub(self._link, as_google(obj.docstring.value))

    def on_class_members(self, *, cls: griffe.Class, **kwargs) -> None:
        """Fields that have their help beside their default, `_option(default, help)`, become parameters with both."""
        entries = []
        for name, member in cls.members.items():
            call = getattr(member, "value", None)
            if isinstance(call, griffe.ExprCall) and str(call.function) == "_option":
                member.value, help_text = call.arguments[:2]
                entries.append(f"    {name} ({member.annotation}): {ast.literal_eval(str(help_text))}")
        if entries and cls.docstring is not None:
            before, raises, after = cls.docstring.value.partition("Raises:\n")
            cls.docstring.value = "\n".join([before.rstrip(), "", "Args:", *entries, "", raises + after])

    def _link(self, match: re.Match[str]) -> str:
        name = match[1].rpartition(".")[2]
        return f"[`{name}`][{self.paths[name]}]" if name in self.paths else f"`{name}`"
