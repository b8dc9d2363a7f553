"""The checkpoint that a command is about: found, checked, loaded."""
