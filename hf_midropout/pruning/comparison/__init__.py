"""What networks predict for rows, and whether one is no worse than another: estimates and paired tests."""
