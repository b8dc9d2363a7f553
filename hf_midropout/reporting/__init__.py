"""The report of a training, its figures, page and model card."""
