"""Pruning inside a Trainer: callback, data, pushes, several processes."""
