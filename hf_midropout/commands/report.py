"""`hf-midropout report`: a page about a training or a pruning, for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ..utils.narration import tell, write
from ..utils.terminal import folded
from .checkpoint.classifier import title_of
from .options.data import TOLD, Telling, option
from .options.parser import command_parser
from .output.narrating import narrate


POSITIONAL = ("checkpoint",)


GROUPS = {"page": "checkpoint output", "messages and help": TOLD}


@dataclass(kw_only=True)
class ReportArguments(Telling):
    """Options of `hf-midropout report`; each field is `--field`."""

    checkpoint: str = field(
        metadata={
            "help": "The checkpoint's folder, the output of hf-midropout train or prune, or a Hub id. The option's "
            "name may be left out."
        }
    )
    output: str | None = option(
        None,
        "HTML file; figures go to the folder 'figures' beside it. None: midropout_report.html in the checkpoint's "
        "folder, or here if it is on the Hub.",
        metavar="FILE",
    )


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        ReportArguments,
        "report",
        "Makes one HTML page that needs no network, and figures as SVG and PNG, from the report that hf-midropout "
        "train and hf-midropout prune leave with a checkpoint: what was dropped and what it cost, beside controls.",
        GROUPS,
        positional=POSITIONAL,
    )


def main(args: ReportArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for a checkpoint that is refused, or that has no report.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    narrate(args)
    from ..hub.publishing import pull

    local = Path(args.checkpoint).exists()
    folder = pull(args.checkpoint)
    if local:
        page, name = Path(args.output) if args.output else None, title_of(folder)
    else:
        page, name = Path(args.output or "midropout_report.html"), args.checkpoint

    from ..reporting.page import write_page

    written = write_page(folder, page, name)
    write(folded(f"Written: {written[0]}, and {len(written) - 1} figures in {written[1].parent}.", "  "))
    tell("Next: open it in a browser.")
