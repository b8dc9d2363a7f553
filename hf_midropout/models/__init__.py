"""The models: the two files that travel with checkpoints, their registration, the tiny built-in model."""
