"""The `hf-midropout` command."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from .utils.closed_pipes import STATUS, is_closed_pipe, silence_closed_pipes, streams
from .utils.interruption import received, stoppable
from .utils.terminal import printable
from .version import __version__


COMMANDS = {
    "train": "train a classifier, drop its least informative neurons, retrain it",
    "prune": "drop neurons of a fine-tuned classifier's encoder, in one shot",
    "score": "measure how many bits neurons carry about the label",
    "evaluate": "measure a classifier on labelled texts, or two, row against row",
    "predict": "give the classes of texts",
    "report": "make an HTML page about a training or a pruning",
    "export": "save a checkpoint as ONNX, or for transformers' own class",
    "push": "publish a checkpoint on the Hub, with its model card",
    "reproduce": "compare MI-Dropout with other regularizers, as the paper does",
}

SILENT = {"-h", "--help", "--help_all", "--help-all", "--list_methods", "--quiet"}
"""Options with which a command says nothing first."""

USAGE = f"""\
hf-midropout {__version__}: mutual-information pruning for text classifiers

usage: hf-midropout COMMAND [OPTION ...]

commands:
{chr(10).join(f"  {name:<10} {description}" for name, description in COMMANDS.items())}

`hf-midropout COMMAND --help` lists the options of a command, with defaults.
`hf-midropout train` alone runs the whole job on built-in data, offline.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """
    Runs a command.

    Returns:
        `int`: the exit status: 0, 1 if the run failed on its input, 2 for a malformed command line, 130 after Ctrl-C,
        143 after SIGTERM, and 141 if what reads its output has ended before it did.
    """
    status = 0
    try:
        status = answer(list(sys.argv[1:] if argv is None else argv))
        for stream in streams():
            stream.flush()
    except BaseException as error:
        if not is_closed_pipe(error):
            raise
        status = status or STATUS
    finally:
        silence_closed_pipes()
    return status


def answer(argv: list[str]) -> int:
    """What [`main`] does, but for streams that nobody reads any more."""
    if not argv or argv[0] in ("-h", "--help"):
        print(USAGE, end="")
        return 0 if argv else 2
    if argv[0] == "--version":
        print(__version__)
        return 0
    if argv[0] not in COMMANDS:
        complain(f"hf-midropout: unknown command {argv[0]!r}: must be one of {', '.join(COMMANDS)}")
        return 2
    from .training.launcher import EXPECTED_PROCESSES

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal's encoding lacks must not end a training
            stream.reconfigure(errors="backslashreplace")
    launched = EXPECTED_PROCESSES in os.environ
    with stoppable(launched=launched):
        try:
            return run(argv[0], argv[1:])
        except BaseException as error:
            signum = received()
            if signum is None and not isinstance(error, KeyboardInterrupt):
                raise
            if not launched:  # the launcher speaks for all
                reason = str(error) if isinstance(error, KeyboardInterrupt) else ""
                complain(f"\nhf-midropout {argv[0]}: {reason or 'stopped.'}")
            # Where a KeyboardInterrupt has passed through the execution of a string, as in dataclasses while modules
            # are imported, Python ends by SIGINT, whatever the status, unless another string is executed after it.
            exec("")
            return 128 + (signum or 2)


def run(name: str, options: list[str]) -> int:
    """Runs the command `name`; returns its exit status."""
    from .training.launcher import EXPECTED_PROCESSES

    launched = EXPECTED_PROCESSES in os.environ  # by a process that has said it
    if not launched and not SILENT.intersection(options):  # libraries take seconds to load
        # What is predicted may go on to another program, without this line.
        print(f"hf-midropout {__version__} {name}", file=sys.stderr if name == "predict" else None, flush=True)
    from .commands.options.grouped_parser import UsageError
    from .utils.processes import FailedElsewhere

    try:
        command = importlib.import_module(f".commands.{name}", __package__)
        options = list(options)
        while len(options) > 1 and options[0] in getattr(command, "FLAGS", ()):
            options.append(options.pop(0))
        for place, positional in enumerate(getattr(command, "POSITIONAL", ())):
            if len(options) <= 2 * place or options[2 * place].startswith("-"):
                break
            options.insert(2 * place, f"--{positional}")
        command.main(*command.make_parser().parse_args_into_dataclasses(options))
    except UsageError as error:
        told = str(error) if str(error).endswith((".", "?")) else f"{error}."
        tell(name, f"{told} `hf-midropout {name} --help` lists the options.")
        return 2
    except FailedElsewhere:
        return 1
    except (ValueError, OSError) as error:
        if is_closed_pipe(error):
            raise
        tell(name, explained(error))
        return 1
    except Exception as error:
        # What a user can mend deserves a sentence; the traceback of anything else is for us.
        from huggingface_hub.errors import StrictDataclassError

        if not isinstance(error, StrictDataclassError):
            raise
        tell(name, explained(error.__cause__ or error))
        return 1
    return 0


def explained(error: BaseException) -> str:
    """What `error` says, with the notes that were added to it."""
    return " ".join([str(error), *getattr(error, "__notes__", ())])


def tell(name: str, reason: str) -> None:
    """Prints an error of the command `name`."""
    complain(f"hf-midropout {name}: error: {printable(reason, 4_000)}")


def complain(text: str) -> None:
    """Writes to the standard error, which the terminal or another program may have closed; the status says it too."""
    with suppress(BrokenPipeError):
        print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
