"""The parser of a command's options."""

from __future__ import annotations


def command_parser(arguments: type, command: str, description: str):
    """A parser of the fields of the dataclass `arguments` for `hf-midropout COMMAND`, which shows their defaults."""
    from argparse import ArgumentDefaultsHelpFormatter

    from transformers import HfArgumentParser

    return HfArgumentParser(
        arguments,
        prog=f"hf-midropout {command}",
        description=description,
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
