"""One self-contained HTML page about a training or a pruning, with its figures as files too."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..checkpoints.loading import loading
from ..utils.json_files import read_json
from ..utils.report_names import REPORT_NAME
from ..utils.safe_paths import write_inside
from .drawing import PageFigure, page_figures
from .kinds import Kind, kind_of
from .report import Report
from .tiles import tiles


PAGE_NAME = "midropout_report.html"


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
    report, config = Report.load(folder), read_json(folder / "config.json")
    if report is None:
        raise ValueError(f"{folder} has no {REPORT_NAME}: hf-midropout train and hf-midropout prune write it.")
    # Whatever fails in drawing is due to the report: anything may be in it.
    with loading(REPORT_NAME):
        kind = kind_of(report)
        values = kind.facts(report, config) | {"seconds": report.seconds.get("total"), "tiles": tiles(report)}
        drawn = page_figures(report, config)
        text = render(kind, values, drawn, name or folder.absolute().name)
    written = [write_inside(page.parent, page.name, text)]
    for figure in drawn:
        for suffix, content in ((".svg", figure.svg), (".png", figure.png)):
            written.append(write_inside(page.parent, f"figures/{figure.name}{suffix}", content))
    return written


def render(kind: Kind, values: dict[str, Any], drawn: list[PageFigure], name: str) -> str:
    """The page; whatever comes from the report is escaped."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=True
    )
    return environment.get_template(kind.page).render(values, title=name, figures=drawn)
