"""Checkpoints of strangers: checked before anything loads them, then loaded."""
