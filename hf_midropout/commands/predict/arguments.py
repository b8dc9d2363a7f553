"""The options of `hf-midropout predict`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..options.data import DATA, FILES, TOLD, DataArguments, Telling, max_length_option, option


GROUPS = {
    "what is classified, and by what": f"checkpoint text text_pair {DATA} split {FILES}",
    "how": "probabilities max_length batch_size trust_remote_code",
    "what is written": "output overwrite",
    "messages and help": TOLD,
}


@dataclass(kw_only=True)
class PredictArguments(Telling, DataArguments):
    """Options of `hf-midropout predict`; each field is `--field`."""

    checkpoint: str = field(
        metadata={
            "help": "The classifier: a local folder, the output of hf-midropout train or prune, or a Hub id. The "
            "option's name may be left out."
        }
    )
    dataset: str | None = option(
        None,
        "Texts to classify, labelled or not: a folder or file of parquet, csv, tsv, json or jsonl, a save_to_disk "
        "folder, a Hub id, or python-docs (built in). None: those of --text, or the lines of the standard input.",
        aliases=["--dataset_name"],
        metavar="DATA",
    )
    text: list[str] | None = field(default=None, metadata={"help": "Texts to classify, instead of a dataset."})
    text_pair: list[str] | None = field(
        default=None, metadata={"help": "For pairs of texts: the second text of each of --text."}
    )
    split: str | None = option(
        None, "Split of --dataset: train, validation or test. None: test, or else validation, or else train."
    )
    probabilities: bool = option(False, "Also give the probability of every class.")
    max_length: int | None = max_length_option()
    batch_size: int = option(64, "Rows per batch.")
    output: str | None = option(
        None,
        "File for the predictions, one for each row, named *.jsonl or *.csv. None: the terminal, where label, "
        "probability and text are separated by tabs.",
        metavar="FILE",
    )
    overwrite: bool = option(False, "Replace the file of --output if it exists.")
    trust_remote_code: bool = option(
        False, "Run code that comes with the checkpoint, should its model be neither in transformers nor here."
    )
