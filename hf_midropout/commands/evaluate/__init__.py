"""`hf-midropout evaluate`."""

from .command import POSITIONAL, main, make_parser


__all__ = ["POSITIONAL", "main", "make_parser"]
