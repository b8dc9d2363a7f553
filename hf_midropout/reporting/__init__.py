"""The report of a training or a pruning, its figures, page and model card."""
