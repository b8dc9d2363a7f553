"""How `--help` reads: groups of options, each once, what it takes, and its default."""

from __future__ import annotations

import re
import shutil
import textwrap
from argparse import SUPPRESS, Action, HelpFormatter
from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatch

from ...utils.terminal import WIDTH


MOST_CHOICES = 6
"""Of an option whose choices its help names in braces."""
TAKES = {"int": "N", "float": "X"}


class OptionFormatter(HelpFormatter):
    """Names an option without the variants that only write `-` for `_`, switches without a value, and no `None`."""

    def __init__(self, prog: str, **options):
        columns = min(shutil.get_terminal_size().columns - 1, WIDTH)
        super().__init__(prog, **{"width": columns, **options})

    def _format_action_invocation(self, action: Action) -> str:
        names = [name for name in action.option_strings if not is_variant(name, action)]
        if is_switch(action) and action.default is True:
            names.insert(1, f"--no_{action.dest}")
        default = action.dest.upper() if action.required else TAKES.get(type_name(action), "VALUE")
        takes = "" if action.nargs == 0 or is_switch(action) else self._format_args(action, default)
        return f"{', '.join(names)} {takes}".rstrip()

    def _format_args(self, action: Action, default_metavar: str) -> str:
        if action.metavar is None and len(list(action.choices or [])) > MOST_CHOICES:
            name = default_metavar
        else:
            (name,) = self._metavar_formatter(action, default_metavar)(1)
        return {"+": f"{name} ...", "?": f"[{name}]"}.get(str(action.nargs), name)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(indent + line for line in self._split_lines(text, width))

    def _get_help_string(self, action: Action) -> str:
        text, default = action.help or "", action.default
        if isinstance(default, Enum):
            default = default.value
        if action.required:
            return f"{text} (required)"
        if default is None:
            return re.sub(r"\bNone: ", "Default: ", text)
        if default is SUPPRESS or default is False or default in ("", []):
            return text
        if is_switch(action):
            return f"{text} (default: yes)"
        shown = " ".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{text} (default: {shown.replace('%', '%%')})"


def is_switch(action: Action) -> bool:
    """Whether an option is given without a value."""
    return action.const is True


def is_variant(name: str, action: Action) -> bool:
    """Whether `name` is another of the option's names, with `-` for `_`."""
    return name in {each.replace("_", "-") for each in action.option_strings if each != name}


def type_name(action: Action) -> str:
    """Of what an option takes."""
    return getattr(action.type, "__name__", "")


def place_of(name: str, groups: Mapping[str, str]) -> tuple[str, int] | None:
    """
    The title of the group of the option `name`, and its place there; `None` if it is in none.

    Args:
        groups (`Mapping[str, str]`): By title, names of options separated by spaces, or patterns of names.
    """
    for title, patterns in groups.items():
        for place, pattern in enumerate(patterns.split()):
            if fnmatch(name, pattern):
                return title, place
    return None
