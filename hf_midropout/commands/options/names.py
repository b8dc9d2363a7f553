"""Names options in messages as they are written on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields


RENAMED = {"subset": "dataset_config"}
"""Arguments of functions whose option has another name, in commands that have no option of theirs."""


@contextmanager
def options_named(*arguments: type) -> Iterator[None]:
    """Context manager: errors name the options of a command (`arguments`, dataclasses) rather than a function's."""
    try:
        yield
    except ValueError as error:
        message = as_options(str(error), *arguments)
        if message == str(error):
            raise
        raise ValueError(message) from error


def as_options(message: str, *arguments: type) -> str:
    """
    `message` with `--option value` in place of `option=value`, and `` `--option` `` in place of `` `option` ``.

    Args:
        message (`str`): What a function of the package said of its arguments.
        arguments (`type`): The dataclasses of a command's options.
    """
    names = {field.name: field.name for each in arguments for field in fields(each)}
    names |= {name: option for name, option in RENAMED.items() if option in names and name not in names}
    alternatives = "|".join(map(re.escape, names))
    message = re.sub(rf"(?<![\w.-])({alternatives})=(?!=)", lambda match: f"--{names[match[1]]} ", message)
    return re.sub(rf"`({alternatives})`", lambda match: f"`--{names[match[1]]}`", message)
