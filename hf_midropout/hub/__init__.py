"""Checkpoints published, pulled and checked."""
