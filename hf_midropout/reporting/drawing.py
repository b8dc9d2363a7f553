"""Draws the figures of a report: as PNG files that `train` leaves, and for the page."""

from __future__ import annotations

import io
import os
import re
import textwrap
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from ..utils import plotting
from ..utils.figure_style import AFTER, BEFORE, GREY, INK, KEPT
from ..utils.plotting import plt
from .figure_list import FIGURES, Drawable, FigureEntry
from .page_figures import WIDTH
from .report import Report


PAGE_STYLE = plotting.STYLE | {
    "font.size": 10.5,
    "text.parse_math": False,  # a dollar sign in someone's words is one
    "svg.hashsalt": "hf_midropout",  # the same input gives the same file
    "svg.fonttype": "none",  # words stay words: they can be searched, copied and read aloud
    "font.sans-serif": ["system-ui", "DejaVu Sans", "sans-serif"],
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}

# Of the page, which has other colours in the dark.
VARIABLES = {
    INK: "--ink", GREY: "--soft", BEFORE: "--before", KEPT: "--kept", AFTER: "--after", "#d9d9d9": "--dropped",
    "#ffffff": "--paper",
}  # fmt: skip


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
    def inline(self) -> Markup:
        """The figure as a part of the page, in the colours of the page; its names are unlike those of others."""
        text = self.svg.decode()
        text = text[text.index("<svg") :]
        for colour, variable in VARIABLES.items():
            text = text.replace(f": {colour}", f": var({variable})")
        text = re.sub(r'(id="|xlink:href="#|url\(#)', rf"\g<1>{self.name}-", text)
        text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.S)
        text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
        text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
        text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text)  # which an HTML page does without
        text = text.replace("<svg ", f'<svg role="img" aria-label="{escape(self.alt)}" ', 1)
        return Markup(text)  # matplotlib has escaped the words in it


def draw_figures(report: Report, folder: str | os.PathLike) -> list[Path]:
    """
    Draws the figures that `report` has data for, but for those of the page, as PNG files into `folder`:
    `bits_per_layer.png` is Figure 2 of the paper.

    Returns:
        `list[Path]`: the files, in the order of `FIGURES`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    it = Drawable(report, {})
    shown = [each for each in FIGURES if not each.page_only and each.shown(it)]
    return [plotting.draw(partial(each.draw, it), folder / f"{each.name}.png") for each in shown]


def page_figures(report: Report, config: dict[str, Any]) -> list[PageFigure]:
    """The figures that `report` has data for, in the order of the page; `config` is the checkpoint's `config.json`."""
    it = Drawable(report, config)
    return [_page_figure(each, it) for each in FIGURES if each.shown(it)]


def _page_figure(entry: FigureEntry, it: Drawable) -> PageFigure:
    """One made for wide pages is brought to the width of a phone's."""
    with plt.rc_context(PAGE_STYLE):
        figure = entry.draw(it)
        if entry.height or figure.get_figwidth() > WIDTH:
            figure.set_size_inches(WIDTH, entry.height or figure.get_figheight())
        for axes in figure.axes:
            axes.set_xlabel(textwrap.fill(axes.get_xlabel(), 50))
        files = {}
        for kind in ("svg", "png"):
            file = io.BytesIO()
            figure.savefig(
                file, format=kind, transparent=kind == "svg", metadata={"Date": None} if kind == "svg" else None
            )
            files[kind] = file.getvalue()
        plt.close(figure)
    return PageFigure(entry.name, entry.title, entry.caption(it), entry.alt(it), files["svg"], files["png"])
