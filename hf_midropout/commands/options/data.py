"""Options that every command with a dataset has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .names import options_named


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData


def option(default, help: str, **metadata):
    """A dataclass field with the help text that `--help` shows."""
    return field(default=default, metadata={"help": help, **metadata})


def max_length_option():
    """The field `max_length` of a command about a checkpoint."""
    return option(None, "Tokens to cut texts to. None: as many as its report says, else 128; no more than it takes.")


DATA = "dataset dataset_config text_column label_column label_names"
FILES = "delimiter encoding column_names"
TOLD = "quiet log_level config help"
"""Names of options that commands have in common, for the groups of `--help`."""


@dataclass(kw_only=True)
class Telling:
    """How much a command says."""

    quiet: bool = option(False, "Print results and errors only, without bars.")
    log_level: str | None = option(
        None,
        "What libraries and this package log: debug, info, warning, error or critical. None: warning.",
        metavar="LEVEL",
    )


@dataclass
class DataArguments:
    """Where the rows come from; each field is `--field`."""

    dataset: str | None = option(
        None,
        "Text classification data: a folder or file of parquet, csv, tsv, json or jsonl, a save_to_disk folder, or a "
        "Hub id such as fancyzhx/ag_news. None: the docstrings of Python's standard library, by subject area.",
        aliases=["--dataset_name"],
        metavar="DATA",
    )
    dataset_config: str | None = option(
        None, "Configuration name of a Hub dataset.", aliases=["--dataset_config_name"], metavar="NAME"
    )
    text_column: list[str] | None = field(
        default=None,
        metadata={
            "help": "Column with the text, or two for pairs of texts, such as premise hypothesis. None: found by its "
            "usual names.",
            "metavar": "COLUMN",
        },
    )
    label_column: str | None = option(
        None, "Column with the label, ints or strings. None: found by its usual names.", metavar="COLUMN"
    )
    label_names: list[str] | None = field(
        default=None,
        metadata={
            "help": "Names of classes that are integers in the data: of 0, 1, ..., or of others in their order. None: "
            "the integers themselves.",
            "metavar": "NAME",
        },
    )
    delimiter: str | None = option(
        None,
        "Character between the values of csv and tsv files, or 'tab'. None: a comma, in tsv files a tab.",
        metavar="CHARACTER",
    )
    encoding: str | None = option(
        None, "Encoding of csv, tsv and json files, such as latin-1, cp1252 or utf-16. None: UTF-8.", metavar="NAME"
    )
    column_names: list[str] | None = field(
        default=None,
        metadata={
            "help": "Names of all columns of csv and tsv files without a header. None: the first line has them.",
            "metavar": "COLUMN",
        },
    )

    def reading(self) -> dict[str, Any]:
        """What `load_text_classification` is told of where and how to read."""
        return {
            "subset": self.dataset_config,
            "text_column": self.text_column,
            "label_column": self.label_column,
            "delimiter": self.delimiter,
            "encoding": self.encoding,
            "column_names": self.column_names,
            "label_names": self.label_names,
        }


def load_data(args: DataArguments, **more) -> TextClassificationData:
    """
    `load_text_classification` with the options of a command, and `more` of its arguments.

    Raises:
        `ValueError`: as that does, naming the options of the command.
    """
    from ...data.datasets import load_text_classification

    with options_named(type(args)):
        return load_text_classification(args.dataset, **args.reading(), **more)
