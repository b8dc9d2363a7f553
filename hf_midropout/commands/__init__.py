"""A folder, or a module, a command: its dataclass of arguments, `make_parser()` and `main(args)`."""
