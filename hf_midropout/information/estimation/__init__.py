"""From counts, or from ranks, to bits."""
