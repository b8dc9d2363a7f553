"""Text classification datasets from the Hub, from files, and built in."""
