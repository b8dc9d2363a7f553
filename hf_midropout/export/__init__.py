"""Checkpoints in other formats, each with its proof of equality."""
