"""Mutual information of neurons with a label, soft labels, several labels or a number, of a stream or in memory."""
