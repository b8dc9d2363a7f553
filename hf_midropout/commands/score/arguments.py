"""The options of `hf-midropout score`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...choices import Targets
from ..options.data import DATA, FILES, TOLD, DataArguments, Telling, max_length_option, option


GROUPS = {
    "what is scored": "checkpoint targets layers trust_remote_code",
    "data": f"{DATA} split max_length max_samples batch_size seed {FILES}",
    "what is written": "output figure",
    "messages and help": TOLD,
}


@dataclass(kw_only=True)
class ScoreArguments(Telling, DataArguments):
    """Options of `hf-midropout score`; each field is `--field`."""

    checkpoint: str = field(
        metadata={
            "help": "The classifier: a local folder, the output of hf-midropout train, or a Hub id. The option's name "
            "may be left out."
        }
    )
    split: str = option("train", "Split to score on: train, validation or test.")
    targets: Targets = option(
        "head",
        "Neurons to score: the hidden layers of a MIDropout checkpoint's head, the feed-forward neurons of an encoder "
        "(of any supported architecture), or all of both.",
    )
    layers: list[str] | None = option(
        None, "Score the outputs of these modules instead: patterns of names, with * and ?, such as '*.pooler'."
    )
    max_samples: int = option(10_000, "Rows to score with, drawn at random; 0 for all.")
    max_length: int | None = max_length_option()
    batch_size: int = option(64, "Rows per batch.")
    seed: int = option(0, "Seed of the draw.")
    output: str | None = option(
        None, "File for the scores, named *.json. None: only the table on the terminal.", metavar="FILE"
    )
    figure: str | None = option(None, "File for a histogram of bits, named *.png. None: no figure.", metavar="FILE")
    trust_remote_code: bool = option(
        False, "Run code that comes with the checkpoint, should its model be neither in transformers nor here."
    )
