"""What a command says while it works, and the files that it writes."""
