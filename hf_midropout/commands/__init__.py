"""One module a command: its dataclass of arguments, `make_parser()` and `main(args)`."""
