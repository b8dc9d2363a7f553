"""The parser of a command's options."""

from __future__ import annotations

from difflib import get_close_matches


class UsageError(ValueError):
    """The command line is malformed: an option that does not exist, or a value of another type."""


def command_parser(arguments: type, command: str, description: str):
    """A parser of the fields of the dataclass `arguments` for `hf-midropout COMMAND`, which shows their defaults."""
    from argparse import ArgumentDefaultsHelpFormatter

    from transformers import HfArgumentParser

    class CommandParser(HfArgumentParser):
        def error(self, message):
            raise UsageError(message.removeprefix("argument "))  # without the list of all options before it

        def parse_args_into_dataclasses(self, args=None, **options):
            *parsed, rest = super().parse_args_into_dataclasses(
                args, return_remaining_strings=True, look_for_args_file=False
            )
            if rest:
                known = [option for action in self._actions for option in action.option_strings]
                close = get_close_matches(rest[0], known, n=1)
                guess = f" Did you mean {close[0]}?" if close else ""
                kind = "option" if rest[0].startswith("-") else "argument"
                raise UsageError(f"unknown {kind} {rest[0]!r}.{guess}")
            return tuple(parsed)

    return CommandParser(
        arguments,
        prog=f"hf-midropout {command}",
        description=description,
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
