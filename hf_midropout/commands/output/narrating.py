"""How much commands say: `--quiet` and `--log_level`, handed on to the libraries that they use."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ...utils.narration import be_quiet


LEVELS = ("debug", "info", "warning", "error", "critical")


def narrate(args: Any) -> None:
    """
    Sets what is told from now on by the `quiet` (`bool`) and `log_level` (`str`, *optional*) of a command's options.

    Raises:
        `ValueError`: for a level that does not exist.
    """
    level = log_level_of(args)
    if level is not None and level not in LEVELS:
        raise ValueError(f"--log_level {level}: must be one of {', '.join(LEVELS)}.")
    be_quiet(args.quiet)
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_tqdm_hook(passing)
    if not args.quiet and level is None:
        return
    from datasets.utils import logging as datasets_logging

    named = getattr(logging, (level or "error").upper())
    transformers_logging.set_verbosity(named)
    datasets_logging.set_verbosity(named)
    package = logging.getLogger("hf_midropout")
    package.setLevel(named)
    if named < logging.WARNING and not package.handlers:  # Python shows warnings and errors without a handler only
        package.addHandler(logging.StreamHandler())
    if args.quiet:
        import datasets

        transformers_logging.disable_progress_bar()
        datasets.disable_progress_bars()


def passing(make: Callable[..., Any], positional: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """A bar of transformers' own, as over files that are written: shown from a second on, and gone when it is over."""
    return make(*positional, **{"delay": 1.0, "leave": False, **options})


def log_level_of(args: Any) -> str | None:
    """`--log_level`, which for a training is one of the Trainer's own options."""
    given = getattr(args, "log_level", None)
    options = getattr(args, "training_options", [])
    for place, option in enumerate(options):
        name, equals, value = option.partition("=")
        if name in ("--log_level", "--log-level"):
            given = value if equals else (options[place + 1] if place + 1 < len(options) else None)
    return None if given == "passive" else given
