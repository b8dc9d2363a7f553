"""The models: the files that travel with checkpoints, their registration, the tiny built-in model."""
