"""`hf-midropout prune`."""

from .command import POSITIONAL, main, make_parser


__all__ = ["POSITIONAL", "main", "make_parser"]
