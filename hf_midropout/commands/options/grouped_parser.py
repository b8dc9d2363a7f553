"""A parser of the fields of dataclasses, whose help is in groups."""

from __future__ import annotations

import re
import types
from argparse import SUPPRESS, Action
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from transformers import HfArgumentParser

from .help_text import OptionFormatter, place_of


class UsageError(ValueError):
    """The command line is malformed: an option that does not exist, or a value of another type."""


class GroupedParser(HfArgumentParser):
    """
    As its base, where a field may hold one of several simple types, the word "none" stands for `None`, and `--help`
    shows options in groups.

    Args:
        arguments (`Iterable[type]`): Dataclasses.
        groups (`Mapping[str, str]`): By title, names of fields separated by spaces, or patterns of names, in the order
            in which `--help` has them.
    """

    def __init__(self, arguments: Iterable[type], groups: Mapping[str, str], **options):
        self.groups = groups
        self.titled: dict[str, Any] = {}
        super().__init__(arguments, formatter_class=OptionFormatter, add_help=False, **options)

        def place(action: Action) -> int:
            found = place_of(action.dest, groups)
            return found[1] if found else len(groups)

        for group in self.titled.values():
            group._group_actions.sort(key=place)

    def group(self, name: str):
        """The group that the option `name` belongs into."""
        if not self.titled:
            self.titled = {title: self.add_argument_group(title) for title in self.groups}
        found = place_of(name, self.groups)
        return self.titled[found[0]] if found else self

    def _parse_dataclass_field(self, parser, field):
        group = self.group(field.name)
        kinds = get_args(field.type) if get_origin(field.type) in (Union, types.UnionType) else ()
        simple = [kind for kind in kinds if kind is not type(None)]
        if not kinds or any(kind not in (str, int, float) for kind in simple):
            HfArgumentParser._parse_dataclass_field(group, field)
            for action in self._actions:
                if f"--no_{field.name}" in action.option_strings:
                    action.help = SUPPRESS  # told with the switch that it undoes
            return
        names = list(dict.fromkeys([f"--{field.name}", f"--{field.name.replace('_', '-')}"]))
        names += field.metadata.get("aliases", [])
        told = {name: field.metadata[name] for name in ("help", "metavar", "nargs", "const") if name in field.metadata}
        group.add_argument(*names, type=value_of(simple, type(None) in kinds), default=field.default, **told)


def value_of(kinds: Sequence[type], optional: bool) -> Callable[[str], Any]:
    """What reads a word as one of `kinds`, numbers before words, and if `optional` the word "none" as `None`."""

    def convert(word: str) -> Any:
        if optional and word.lower() in ("none", "null"):
            return None
        for kind in (int, float) if float in kinds else (int,) if int in kinds else ():
            try:
                return kind(word)
            except ValueError:
                continue
        if str in kinds:
            return word
        raise ValueError(word)

    convert.__name__ = kinds[0].__name__  # argparse names it in its message
    return convert


def told(message: str) -> str:
    """What argparse says of an option, which is named once."""
    return re.sub(r"^(--\w+)(/--[\w-]+)+", r"\1", message.removeprefix("argument "))
