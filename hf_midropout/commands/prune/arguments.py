"""The options of `hf-midropout prune`."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from ...choices import Scope
from ..options.data import DATA, FILES, TOLD, DataArguments, Telling, max_length_option, option


AUTO = "auto"
DEFAULT_KEEP = 0.25
DEFAULT_MARGIN = 0.01


GROUPS = {
    "what is pruned, and how far": "checkpoint output_dir keep speedup scope criterion keep_layers trim_vocabulary "
    "margin dtype trust_remote_code",
    "data": f"{DATA} max_length split max_samples max_eval_samples batch_size seed {FILES}",
    "comparisons": "compare latency latency_batch_size latency_tokens",
    "card, messages and help": f"language {TOLD}",
}


@dataclass(kw_only=True)
class PruneArguments(Telling, DataArguments):
    """Options of `hf-midropout prune`; each field is `--field`."""

    checkpoint: str = field(
        metadata={"help": "The fine-tuned classifier: a local folder or a Hub id. The option's name may be left out."}
    )
    output_dir: str = field(
        metadata={"help": "Folder for the smaller classifier: a new or an empty one.", "metavar": "FOLDER"}
    )
    keep: float | str | None = option(
        None,
        "Fraction of each layer's feed-forward neurons to keep, in (0, 1). 'auto': the smallest at which the accuracy "
        f"on validation rows is shown to be no more than --margin below the dense network's. None: {DEFAULT_KEEP}, or "
        "what --speedup takes.",
    )
    scope: Scope = option(
        "layer",
        "'layer' keeps this fraction of each layer. 'global' keeps it of all layers together, more neurons where they "
        "carry more bits about the prediction, at no more multiplications. Then layers differ in width, which "
        "transformers' own classes cannot load: it takes this package, or trust_remote_code.",
    )
    speedup: float | None = option(
        None,
        "Instead of --keep: how many times faster a forward pass is to be on this machine, such as 2. The most "
        "neurons at which it is are kept, found by timing; where less than a sixteenth of them would be, unless "
        "--keep_layers says how many, as many layers go as have to.",
    )
    margin: float = option(DEFAULT_MARGIN, "For --keep auto: the accuracy that may be lost, before any retraining.")
    keep_layers: int | None = option(
        None,
        "Layers of the encoder to keep; the others are dropped before neurons are, one by one those without which the "
        "prediction changes least. None: all.",
    )
    trim_vocabulary: bool = option(
        False,
        "Keep the tokens that occur in the training texts only, and what any other text can be tokenised with. It "
        "saves size, not time.",
    )
    dtype: str = option("auto", "What to save in: auto (as the checkpoint is), float32, float16 or bfloat16.")
    criterion: str = option(
        "prediction_information",
        "What makes a neuron important: prediction_information (bits about the prediction that only it carries), "
        "prediction_variance, brain_surgeon, mask_fisher, mutual_information, joint_information, magnitude, "
        "std_times_norm, taylor or random.",
    )
    split: str = option(
        "train",
        "Split to measure and reconstruct on. Labels play no part in prediction_information. Networks are compared on "
        "other rows, also where that is the same split.",
    )
    max_samples: int = option(2048, "Rows of it to use, drawn at random.")
    max_eval_samples: int = option(
        2000, "Rows of test, or else of validation, to compare networks on, drawn at random."
    )
    compare: bool = option(True, "Also prune by magnitude, std_times_norm and random neurons, to compare with.")
    max_length: int | None = max_length_option()
    batch_size: int = option(32, "Rows per batch.")
    latency: bool = option(True, "Time forward passes before and after, some seconds for each --latency_batch_size.")
    latency_batch_size: list[int] = field(
        default_factory=lambda: [1],
        metadata={"help": "Rows of a pass that is timed; of several numbers the first is what --speedup is about."},
    )
    latency_tokens: int | None = option(None, "Tokens of these rows. None: as many as --max_length.")
    seed: int = option(0, "Seed of the draws.")
    language: list[str] | None = field(
        default=None,
        metadata={
            "help": "Language of the texts, for the model card, such as en. None: not said.",
            "metavar": "CODE",
        },
    )
    trust_remote_code: bool = option(
        False, "Run code that comes with the checkpoint, should its model be neither in transformers nor here."
    )

    def __post_init__(self):
        if self.keep is None and self.speedup is None:
            self.keep = DEFAULT_KEEP
        with suppress(ValueError):
            self.keep = None if self.keep is None else float(self.keep)

    @property
    def fraction(self) -> float | None:
        """Of the neurons to keep; `None` for one that is to be found."""
        return self.keep if isinstance(self.keep, float) else None
