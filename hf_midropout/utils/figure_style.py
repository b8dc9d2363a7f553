"""Colours and style of the package's figures. Needs nothing, and leaves matplotlib's backend as it is."""

from __future__ import annotations


# Okabe and Ito's palette: told apart by colour-blind readers and in grey print.
BEFORE, KEPT, AFTER, GREY = "#9a9a9a", "#56b4e9", "#0072b2", "#444444"

INK = "#1d2329"

STYLE = {
    "figure.dpi": 150,
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "legend.frameon": False,
}
