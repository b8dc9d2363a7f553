"""The style of the package's figures, and how they are saved. Takes a second to import: matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib


matplotlib.use("Agg")

from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from .figure_style import AFTER, BEFORE, GREY, KEPT, STYLE  # noqa: E402


__all__ = ["AFTER", "BEFORE", "GREY", "KEPT", "STYLE", "draw", "plt"]


def draw(make_figure: Callable[[], Figure], path: Path) -> Path:
    """Saves what `make_figure` draws in the package's style."""
    with plt.rc_context(STYLE):
        figure = make_figure()
        figure.savefig(path, bbox_inches="tight")
        plt.close(figure)
    return path
