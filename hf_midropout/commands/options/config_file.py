"""Options of a command in a YAML file."""

from __future__ import annotations

import json
from pathlib import Path


CONFIG = "--config"


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
