"""`hf-midropout predict`."""

from .command import POSITIONAL, main, make_parser


__all__ = ["POSITIONAL", "main", "make_parser"]
