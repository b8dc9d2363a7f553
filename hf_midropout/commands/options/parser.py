"""The parser of a command's options, which may also stand in a YAML file."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, Action
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from difflib import get_close_matches

from .config_file import CONFIG, options_of_file
from .grouped_parser import GroupedParser, UsageError, told
from .names import options_named


class CommandParser(GroupedParser):
    """
    A parser of the fields of dataclasses for `hf-midropout COMMAND`.

    Args:
        arguments (`Iterable[type]`): Dataclasses.
        command (`str`): Name of the command.
        description (`str`): What it does.
        groups (`Mapping[str, str]`): Titles and names of options, as of [`GroupedParser`]; `config` and `help` may be
            among them.
        positional (`Sequence[str]`, *optional*): Fields whose option's name may be left out.
        hidden (`Sequence[str]`, *optional*): Fields that are no options, as `Class.field`.
        more (`Callable`, *optional*): Takes options that are in no dataclass, and gives those that it does not know
            either, and the names of all that it knows.
        more_help (`Callable`, *optional*): Gives the help of these, which `--help_all` shows too.
        from_files (`bool`, *optional*, defaults to `False`): Whether `--config FILE` reads options from a YAML file.
    """

    def __init__(
        self,
        arguments: Iterable[type],
        command: str,
        description: str,
        groups: Mapping[str, str],
        positional: Sequence[str] = (),
        hidden: Sequence[str] = (),
        more: Callable[[list[str]], tuple[list[str], list[str]]] | None = None,
        more_help: Callable[[], str] | None = None,
        from_files: bool = False,
    ):
        self.hidden, self.more, self.from_files = hidden, more, from_files
        super().__init__(arguments, groups, prog=f"hf-midropout {command}", description=description)
        if from_files:
            self.group("config").add_argument(
                CONFIG, metavar="FILE", help="YAML file with options by name; what is typed goes before it."
            )
        self.group("help").add_argument(
            "-h", "--help", action="help", default=SUPPRESS, help="Show these options, and stop."
        )
        if more_help is not None:
            self.group("help_all").add_argument(
                "--help_all", "--help-all", action=HelpOnAll, more_help=more_help, nargs=0, default=SUPPRESS,
                help="Show also those of the Trainer, and stop.",
            )  # fmt: skip
        required = [action for action in self._actions if action.required and action.dest not in positional]
        words = [name.upper() for name in positional]
        words += [f"--{action.dest} {action.metavar or action.dest.upper()}" for action in required]
        self.usage = " ".join([f"hf-midropout {command}", *words, "[OPTION ...]"])

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


class HelpOnAll(Action):
    """`--help_all`."""

    def __init__(self, *names, more_help: Callable[[], str], **options):
        super().__init__(*names, **options)
        self.more_help = more_help

    def __call__(self, parser, namespace, values, option_string=None):
        parser._print_message(f"{parser.format_help()}\n{self.more_help()}", sys.stdout)
        parser.exit()


def command_parser(
    arguments: type | Sequence[type], command: str, description: str, groups: Mapping[str, str], **more
) -> CommandParser:
    """A parser of the fields of dataclasses for `hf-midropout COMMAND`, which shows their defaults."""
    kinds = [arguments] if isinstance(arguments, type) else arguments
    return CommandParser(kinds, command, description, groups, **more)
