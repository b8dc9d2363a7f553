"""The style of the package's figures, and how they are saved. Takes a second to import: matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib


matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402


# Okabe and Ito's palette: told apart by colour-blind readers and in grey print.
BEFORE, KEPT, AFTER, GREY = "#9a9a9a", "#56b4e9", "#0072b2", "#444444"

STYLE = {
    "figure.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "legend.frameon": False,
}


def draw(make_figure: Callable[[], Figure], path: Path) -> Path:
    """Saves what `make_figure` draws in the package's style."""
    with plt.rc_context(STYLE):
        figure = make_figure()
        figure.savefig(path, bbox_inches="tight")
        plt.close(figure)
    return path
