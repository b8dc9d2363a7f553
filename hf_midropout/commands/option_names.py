"""Names options in messages as they are written on the command line."""

from __future__ import annotations

import re
from dataclasses import fields


RENAMED = {"subset": "dataset_config"}
"""Arguments of functions whose option has another name."""


def as_options(message: str, arguments: type) -> str:
    """
    `message` with `--option value` in place of `option=value`, and `` `--option` `` in place of `` `option` ``.

    Args:
        message (`str`): What a function of the package said of its arguments.
        arguments (`type`): The dataclass of a command's options.
    """
    names = {field.name: field.name for field in fields(arguments)}
    names |= {name: option for name, option in RENAMED.items() if option in names and name not in names}
    alternatives = "|".join(map(re.escape, names))
    message = re.sub(rf"(?<![\w.-])({alternatives})=(?!=)", lambda match: f"--{names[match[1]]} ", message)
    return re.sub(rf"`({alternatives})`", lambda match: f"`--{names[match[1]]}`", message)
