"""Forward passes that leave no trace, and the scores of neurons."""
