"""What any other folder may use: files, paths, text for the terminal, random states, signals, processes."""
