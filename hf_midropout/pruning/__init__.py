"""What to drop, decided and done: configuration, criteria, selection, reconstruction, search, baselines, record."""
