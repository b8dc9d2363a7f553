"""The options of `hf-midropout evaluate`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..options.data import DATA, FILES, TOLD, DataArguments, Telling, max_length_option, option


DEFAULT_MARGIN = 0.01


GROUPS = {
    "what is evaluated": "checkpoint compare margin trust_remote_code",
    "data": f"{DATA} split max_length max_samples batch_size seed {FILES}",
    "what is written": "output overwrite",
    "messages and help": TOLD,
}


@dataclass(kw_only=True)
class EvaluateArguments(Telling, DataArguments):
    """Options of `hf-midropout evaluate`; each field is `--field`."""

    checkpoint: str = field(
        metadata={
            "help": "The classifier: a local folder, the output of hf-midropout train or prune, or a Hub id. The "
            "option's name may be left out."
        }
    )
    compare: str | None = option(
        None,
        "Another classifier of the same classes, such as the one before pruning, to compare with row by row.",
        metavar="CHECKPOINT",
    )
    margin: float = option(
        DEFAULT_MARGIN, "With --compare: the accuracy that may be lost, for the test of whether more is."
    )
    split: str | None = option(
        None, "Split to evaluate on: train, validation or test. None: test, or else validation, or else train."
    )
    max_samples: int | None = option(None, "Rows to use, drawn at random. None: all.")
    max_length: int | None = max_length_option()
    batch_size: int = option(64, "Rows per batch.")
    seed: int = option(0, "Seed of the draw.")
    output: str | None = option(None, "File for all figures, named *.json. None: only the terminal.", metavar="FILE")
    overwrite: bool = option(False, "Replace the file of --output even if it was not written by this command.")
    trust_remote_code: bool = option(
        False, "Run code that comes with a checkpoint, should its model be neither in transformers nor here."
    )
