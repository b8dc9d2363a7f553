"""Counts of a stream: bins are placed with its first rows, and counts summed over batches and processes."""
