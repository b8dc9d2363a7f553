"""The `hf-midropout` command."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from .terminal import printable
from .version import __version__


COMMANDS = {
    "train": "train a text classifier, drop the neurons that tell little about the label, retrain, save it smaller",
    "score": "measure how many bits the neurons of a trained classifier carry about the label",
    "report": "draw a page about a training, for people",
    "export": "save a checkpoint as ONNX, or for transformers' own ALBERT",
    "push": "publish a checkpoint on the Hub, with its model card",
}

USAGE = f"""\
hf-midropout {__version__}: mutual-information pruning for text classifiers

usage: hf-midropout COMMAND [OPTION ...]

commands:
{chr(10).join(f"  {name:<10} {description}" for name, description in COMMANDS.items())}

`hf-midropout COMMAND --help` lists the options of a command, with defaults and units.
`hf-midropout train` alone runs the whole job on built-in data, without a network.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns the exit status: 0, 1 if the run failed on its input, 2 for a malformed command line."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        print(__version__)
        return 0
    if argv[0] not in COMMANDS:
        print(f"hf-midropout: unknown command {argv[0]!r}: must be one of {', '.join(COMMANDS)}", file=sys.stderr)
        return 2
    from huggingface_hub.errors import StrictDataclassError

    command = importlib.import_module(f".commands.{argv[0]}", __package__)
    try:
        options = argv[1:]
        while len(options) > 1 and options[0] in getattr(command, "FLAGS", ()):
            options.append(options.pop(0))
        for place, name in enumerate(getattr(command, "POSITIONAL", ())):
            if len(options) <= 2 * place or options[2 * place].startswith("-"):
                break
            options.insert(2 * place, f"--{name}")
        (arguments,) = command.make_parser().parse_args_into_dataclasses(options)
        command.main(arguments)
    except (ValueError, OSError, StrictDataclassError) as error:
        # What a user can mend deserves a sentence; the traceback of anything else is for us.
        reason = error.__cause__ if isinstance(error, StrictDataclassError) else error
        print(f"hf-midropout {argv[0]}: error: {printable(reason, 4_000)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
