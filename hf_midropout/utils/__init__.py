"""Files and random numbers."""
