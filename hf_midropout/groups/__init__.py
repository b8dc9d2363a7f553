"""Prunable groups: units that are removed together, the table of architectures, taps, gates and cutting."""

from .architectures import ARCHITECTURES, find_groups
from .cutting import cut_groups
from .dropping import drop_layers
from .group import Groups, PrunableGroup, Rows, linear_of
from .units import capture_units, gate_units


__all__ = [
    "ARCHITECTURES",
    "Groups",
    "PrunableGroup",
    "Rows",
    "capture_units",
    "cut_groups",
    "drop_layers",
    "find_groups",
    "gate_units",
    "linear_of",
]
