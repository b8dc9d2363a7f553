"""Options that every command with a dataset has."""

from __future__ import annotations

from dataclasses import dataclass, field


def option(default, help: str, **metadata):
    """A dataclass field with the help text that `--help` shows."""
    return field(default=default, metadata={"help": help, **metadata})


@dataclass
class DataArguments:
    """Where the rows come from; each field is `--field`."""

    dataset: str | None = option(
        None,
        "Text classification data: a folder or file of parquet, csv, tsv, json or jsonl, a save_to_disk folder, or a "
        "Hub id such as fancyzhx/ag_news. None: the docstrings of Python's standard library, by subject area.",
    )
    dataset_config: str | None = option(None, "Configuration name of a Hub dataset.")
    text_column: str | None = option(None, "Column with the text. None: found by its usual names.")
    label_column: str | None = option(None, "Column with the label, ints or strings. None: found by its usual names.")
