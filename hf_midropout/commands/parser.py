"""The parser of a command's options, which may also stand in a YAML file."""

from __future__ import annotations

import json
import re
import sys
import types
from argparse import ArgumentDefaultsHelpFormatter, ArgumentError
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from transformers import HfArgumentParser

from .option_names import options_named


CONFIG = "--config"


class UsageError(ValueError):
    """The command line is malformed: an option that does not exist, or a value of another type."""


class TypedParser(HfArgumentParser):
    """As its base, where a field may hold one of several simple types, and the word "none" stands for `None`."""

    def _parse_dataclass_field(self, parser, field):
        kinds = get_args(field.type) if get_origin(field.type) in (Union, types.UnionType) else ()
        simple = [kind for kind in kinds if kind is not type(None)]
        if not kinds or any(kind not in (str, int, float) for kind in simple):
            HfArgumentParser._parse_dataclass_field(parser, field)
            return
        names = list(dict.fromkeys([f"--{field.name}", f"--{field.name.replace('_', '-')}"]))
        names += field.metadata.get("aliases", [])
        convert = value_of(simple, type(None) in kinds)
        parser.add_argument(*names, type=convert, default=field.default, help=field.metadata.get("help"))


class CommandParser(TypedParser):
    """
    A parser of the fields of dataclasses for `hf-midropout COMMAND`.

    Args:
        arguments (`Iterable[type]`): Dataclasses; their `_argument_group_name` groups options in `--help`.
        command (`str`): Name of the command.
        description (`str`): What it does.
        hidden (`Sequence[str]`, *optional*): Fields that are no options, as `Class.field`.
        more (`Callable`, *optional*): Takes options that are in no dataclass, and gives those that it does not know
            either, and the names of all that it knows.
        from_files (`bool`, *optional*, defaults to `False`): Whether `--config FILE` reads options from a YAML file.
    """

    def __init__(
        self,
        arguments: Iterable[type],
        command: str,
        description: str,
        hidden: Sequence[str] = (),
        more: Callable[[list[str]], tuple[list[str], list[str]]] | None = None,
        from_files: bool = False,
    ):
        self.hidden, self.more, self.from_files = hidden, more, from_files
        super().__init__(
            arguments,
            prog=f"hf-midropout {command}",
            description=description,
            formatter_class=ArgumentDefaultsHelpFormatter,
        )
        if from_files:
            self.add_argument(CONFIG, metavar="FILE", help="YAML file with options by name; others go before it.")

    def _add_dataclass_arguments(self, dtype):
        self._adding = dtype
        super()._add_dataclass_arguments(dtype)

    def _parse_dataclass_field(self, parser, field):
        if f"{self._adding.__name__}.{field.name}" in self.hidden:
            return
        super()._parse_dataclass_field(parser, field)

    def error(self, message):
        raise UsageError(told(message))  # without the list of all options before it

    def _print_message(self, message, file=None):
        # argparse passes over a reader that has gone, and Python complains of it when it ends.
        print(message, end="", file=file or sys.stderr, flush=True)

    def parse_args_into_dataclasses(self, args=None, **options):
        """
        One object for each dataclass; options that only `more` knows are in the attribute `training_options` of the
        first.

        Raises:
            [`UsageError`]: for an option that does not exist, or a value of another type.
        """
        args = list(args or [])
        if self.from_files:
            args = self._with_file(args)
        namespace, rest = self.parse_known_args(args)
        known = [option for action in self._actions for option in action.option_strings]
        kept = rest
        if rest and self.more is not None:
            rest, others = self.more(rest)
            known += others
        if rest:
            close = get_close_matches(rest[0].partition("=")[0], known, n=1)
            guess = f" Did you mean {close[0]}?" if close else ""
            raise UsageError(f"unknown {'option' if rest[0].startswith('-') else 'argument'} {rest[0]!r}.{guess}")
        parsed = []
        for kind in self.dataclass_types:
            names = [field.name for field in fields(kind) if f"{kind.__name__}.{field.name}" not in self.hidden]
            with options_named(kind):
                parsed.append(kind(**{name: getattr(namespace, name) for name in names}))
        if self.more is not None:
            parsed[0].training_options = kept
        return tuple(parsed)

    def _with_file(self, args: list[str]) -> list[str]:
        """`args` with the options of the file that they name before them."""
        for place, option in enumerate(args):
            name, equals, value = option.partition("=")
            if name != CONFIG:
                continue
            if not equals and place + 1 == len(args):
                raise UsageError(f"{CONFIG}: expected one argument")
            path, width = (value, 1) if equals else (args[place + 1], 2)
            return [*options_of_file(path), *args[:place], *args[place + width :]]
        return args


def command_parser(arguments: type | Sequence[type], command: str, description: str, **more) -> CommandParser:
    """A parser of the fields of dataclasses for `hf-midropout COMMAND`, which shows their defaults."""
    return CommandParser([arguments] if isinstance(arguments, type) else arguments, command, description, **more)


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


def options_of_file(path: str) -> list[str]:
    """
    The options in a YAML file, names with values.

    Raises:
        `ValueError`: for a file that cannot be read or is no mapping of names.
    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{CONFIG} {path}: it cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{CONFIG} {path}: it is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{CONFIG} {path}: must hold names of options with their values, such as `keep: 0.25`.")
    options: list[str] = []
    for name, value in content.items():
        values = value if isinstance(value, list) else [value]
        words = ["none" if each is None else each if isinstance(each, str) else json.dumps(each) for each in values]
        # One value may begin with a minus.
        options += [f"--{name}={words[0]}"] if len(words) == 1 else [f"--{name}", *words]
    return options


def training_option_names(options: list[str]) -> tuple[list[str], list[str]]:
    """
    Of `options` that are of no command, those that [`~transformers.TrainingArguments`] has no field for; and all that
    it has.
    """
    parser = training_parser()
    try:
        _, rest = parser.parse_known_args(options)
    except ArgumentError as error:
        raise UsageError(told(str(error))) from None
    return rest, [option for action in parser._actions for option in action.option_strings]


def told(message: str) -> str:
    """What argparse says of an option, which is named once."""
    return re.sub(r"^(--\w+)(/--[\w-]+)+", r"\1", message.removeprefix("argument "))


def training_parser() -> TypedParser:
    """A parser of the fields of [`~transformers.TrainingArguments`]."""
    from transformers import TrainingArguments

    return TypedParser(TrainingArguments, exit_on_error=False, add_help=False)
