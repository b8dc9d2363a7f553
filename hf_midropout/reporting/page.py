"""One self-contained HTML page about a training, with its figures as files too."""

from __future__ import annotations

import base64
import io
import os
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from ..checkpoints.loading import loading
from ..pruning.record import PruningRecord
from ..utils import plotting
from ..utils.json_files import read_json
from ..utils.plotting import plt
from ..utils.safe_paths import write_inside
from . import alt_texts, figures, page_figures
from .card_facts import facts
from .parts import REPORT_NAME, last_of_steps, read_sweep
from .report_checks import read_report


PAGE_NAME = "midropout_report.html"
STYLE = plotting.STYLE | {
    "font.size": 10.5,
    "text.parse_math": False,  # a dollar sign in someone's words is one
    "svg.hashsalt": "hf_midropout",  # the same input gives the same file
}


@dataclass
class PageFigure:
    """`name` (`str`), `title` (`str`), `caption` (`str`), `alt` (`str`), `svg` and `png` (`bytes`)."""

    name: str
    title: str
    caption: str
    alt: str
    svg: bytes
    png: bytes

    @property
    def data_uri(self) -> str:
        """The figure as the `src` of an image."""
        return "data:image/svg+xml;base64," + base64.b64encode(self.svg).decode()


def write_page(
    folder: str | os.PathLike, page: str | os.PathLike | None = None, name: str | None = None
) -> list[Path]:
    """
    Writes the page of the checkpoint in `folder`, and its figures beside it in `figures/` as SVG and PNG.

    Args:
        folder (`str` or `os.PathLike`): A folder with a checked checkpoint and its report.
        page (`str` or `os.PathLike`, *optional*): The HTML file; `midropout_report.html` in `folder` if not given.
        name (`str`, *optional*): Heading; the name of `folder` if not given.

    Returns:
        `list[Path]`: the files, the page first.

    Raises:
        `ValueError`: if there is no report, it is not one of this package, or a link stands in the way.
    """
    folder = Path(folder)
    page = Path(page) if page else folder / PAGE_NAME
    report, config = read_report(folder), read_json(folder / "config.json")
    if report is None:
        raise ValueError(f"{folder} has no {REPORT_NAME}: hf-midropout train writes it.")
    # Whatever fails in drawing is due to the report: anything may be in it.
    with loading(REPORT_NAME):
        values = facts(report, config)
        drawn = draw(report, config)
        text = render(values, drawn, name or folder.absolute().name, report)
    written = [write_inside(page.parent, page.name, text)]
    for figure in drawn:
        for suffix, content in ((".svg", figure.svg), (".png", figure.png)):
            written.append(write_inside(page.parent, f"figures/{figure.name}{suffix}", content))
    return written


def draw(report: dict[str, Any], config: dict[str, Any]) -> list[PageFigure]:
    """The figures that this report has data for, in the order of the page."""
    record = PruningRecord.from_dict(report["pruning"])
    log, test, sweep = report.get("training_log"), report.get("test") or {}, read_sweep(report)
    drawn = [
        make(
            "architecture", "Architecture", "A dot is a neuron of the head: dark ones were kept, pale ones dropped.",
            alt_texts.architecture(record, config), lambda: page_figures.architecture(record, config),
        ),
        make(
            "bits_per_layer", "Bits per layer",
            "Grey and light bars differ by arithmetic alone, as dropping the lowest raises a mean; light and dark "
            "ones by training.",
            alt_texts.bits_per_layer(record), lambda: figures.bits_per_layer(record), 3.6,
        ),
        log and make(
            "training_curve", "Training", "Loss over the optimizer steps.", alt_texts.training_curve(record, log),
            lambda: figures.training_curve(record, log), 3.2,
        ),
        make(
            "bits_per_neuron", "Bits per neuron", "Mutual information with the label when neurons were dropped.",
            alt_texts.bits_per_neuron(record), lambda: figures.bits_per_neuron(record),
        ),
        sweep and make(
            "sweep", "Threshold search",
            f"Every threshold tried on {sweep['rows']:,} validation rows, before retraining. Chosen: the most pruned "
            f"one not inferior to the dense network (margin {sweep['margin']:g}).",
            alt_texts.sweep_curve(sweep), lambda: figures.sweep_curve(last_of_steps(report["pruning"], "sweep")),
        ),
        test.get("calibration") and make(
            "calibration", "Calibration",
            f"On {test['rows']:,} {test['split']} rows: above the dotted line the model is right more often than it "
            "says, below it less often.",
            alt_texts.reliability_diagram(test), lambda: page_figures.reliability_diagram(test),
        ),
    ]  # fmt: skip
    return [figure for figure in drawn if figure]


def make(
    name: str, title: str, caption: str, alt: str, function: Callable[[], Figure], height: float | None = None
) -> PageFigure:
    """Draws one; `height` in inches brings a figure made for wide pages to the width of a phone's."""
    with plt.rc_context(STYLE):
        figure = function()
        if height or figure.get_figwidth() > page_figures.WIDTH:
            figure.set_size_inches(page_figures.WIDTH, height or figure.get_figheight())
        for axes in figure.axes:
            axes.set_xlabel(textwrap.fill(axes.get_xlabel(), 50))
        files = {}
        for kind in ("svg", "png"):
            file = io.BytesIO()
            figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
            files[kind] = file.getvalue()
        plt.close(figure)
    return PageFigure(name, title, caption, alt, files["svg"], files["png"])


def render(values: dict[str, Any], drawn: list[PageFigure], name: str, report: dict[str, Any]) -> str:
    """The page; whatever comes from the report is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=True
    )
    seconds = report.get("seconds", {}).get("total")
    return environment.get_template("report.html").render(values, title=name, figures=drawn, seconds=seconds)
