"""The options of `hf-midropout train`."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...model_types import HEAD_ARCHITECTURES
from ..options.data import DATA, FILES, DataArguments, option


GROUPS = {
    "data": f"{DATA} max_length validation_fraction max_train_samples max_eval_samples {FILES}",
    "model": "model head_*",
    "what is written": "output_dir overwrite_output_dir resume language",
    "pruning": "targets keep threshold start criterion scope action reconstruction compare baselines",
    "training": "num_train_epochs learning_rate per_device_train_batch_size per_device_eval_batch_size seed "
    "warmup_steps weight_decay gradient_accumulation_steps bf16 fp16 accelerate_config accelerate",
    "pruning in detail": "pruning_steps rewind_learning_rate distill distill_temperature dropout_rate graded "
    "metric margin alpha score_samples reconstruction_samples",
    "messages and help": "quiet report_to config help help_all",
}
NEWEST = "true"
"""The `resume` of a run that names no checkpoint."""
YES, NO = (NEWEST, "yes", "1"), ("false", "no", "0", "none")
DEFAULTS = {"eval_strategy": "epoch", "save_strategy": "epoch", "save_total_limit": 2, "logging_steps": 25}
"""Of options that are the Trainer's own, where the command has others."""


@dataclass
class TrainArguments(DataArguments):
    """
    Options of `hf-midropout train`; each field is `--field`. Beside them there are those of [`MIDropoutConfig`], and
    each other field of [`~transformers.TrainingArguments`] is an option too.
    """

    model: str | None = option(
        None,
        f"Checkpoint of {', '.join(row.name for row in HEAD_ARCHITECTURES.values())} to start from: a local folder "
        "or a Hub id such as albert/albert-base-v2. "
        "None: a tiny ALBERT with a tokenizer trained on the spot.",
        aliases=["--model_name_or_path"],
        metavar="MODEL",
    )
    validation_fraction: float = option(
        0.1, "Fraction of the training rows, in (0, 1), cut off for validation if the data has no such split."
    )
    max_train_samples: int | None = option(None, "Training rows to use, drawn at random. None: all.")
    max_eval_samples: int | None = option(None, "Rows of validation and of test to use, drawn at random. None: all.")
    output_dir: str = option(
        "midropout_output",
        "Folder for the training's checkpoints and, in its subfolder 'compact', the finished model, report, figures.",
        metavar="FOLDER",
    )
    overwrite_output_dir: bool = option(False, "Delete what an earlier run left in output_dir.")
    resume: str | None = option(
        None,
        "Go on from the newest whole checkpoint in output_dir. Its path may be given; that of another is refused.",
        aliases=["--resume_from_checkpoint", "--resume-from-checkpoint"],
        metavar="CHECKPOINT",
        nargs="?",
        const=NEWEST,
    )
    compare: str | None = option(
        None,
        "dense: also train without pruning, with the same seed and steps, from the initial phase that both share, and "
        "time both networks: what pruning cost is then known. It takes the time of the second phase once more.",
        metavar="dense",
    )

    head_widths: list[int] | None = field(
        default=None,
        metadata={
            "help": "Neurons of each hidden dense layer of a new head, first to last. None: 256 128 64, or those of a "
            "MIDropout checkpoint."
        },
    )
    head_activation: str | None = option(
        None, "Activation function of a new head, a name in transformers' ACT2FN. None: relu.", metavar="NAME"
    )

    head_regularizer: str | None = option(
        None,
        "What acts on the hidden layers of the head in training: none, dropout, spatial_1d, alpha, gaussian, "
        "drop_connect, info_drop, information, concrete, multi_sample or drop_mi. None: dropout, or that of a "
        "MIDropout checkpoint.",
        metavar="NAME",
    )
    head_dropout: float | None = option(
        None, "Rate of --head_regularizer. None: its published default, and for dropout 0."
    )
    head_regularizer_weight: float | None = option(
        None, "Weight of what --head_regularizer adds to the loss. None: for N training rows 3/N with information and "
        "1/N with concrete.",
    )  # fmt: skip
    head_samples: int | None = option(None, "Masks at once with --head_regularizer multi_sample. None: 8.")

    max_length: int | None = option(
        None, "Tokens to cut texts to. None: 128 with --model, 64 without.", aliases=["--max_seq_length"]
    )
    num_train_epochs: float = option(4.0, "Passes over the training rows, initial phase and retraining together.")
    learning_rate: float | None = option(
        None, "Peak learning rate of AdamW, linearly decayed to 0. None: 1e-4 with --model, 1e-3 without."
    )
    warmup_steps: float = option(0.06, "Steps of linear warm-up; below 1, the fraction of all steps.")
    weight_decay: float = option(0.01, "Weight decay of AdamW.")
    per_device_train_batch_size: int = option(32, "Rows per step and device.")
    per_device_eval_batch_size: int = option(64, "Rows per batch and device, in evaluation and scoring.")
    gradient_accumulation_steps: int = option(1, "Batches per optimizer step.")
    bf16: bool = option(False, "Mixed precision with bfloat16.")
    fp16: bool = option(False, "Mixed precision with float16 (GPU only).")
    seed: int = option(42, "Seed of weights, data order, row draws and random choices of neurons.")
    report_to: list[str] | None = field(
        default=None,
        metadata={
            "help": "Where the Trainer logs to: tensorboard, wandb, ... None: only the terminal.",
            "metavar": "NAME",
        },
    )
    accelerate_config: str | None = option(
        None,
        "Run in several processes through `accelerate launch`: a YAML file of accelerate, or one of gpu, a100_8gpu, "
        "a100_2x8gpu, fsdp2, zero2, cpu_2.",
        metavar="FILE",
    )
    accelerate: list[str] | None = field(
        default=None,
        metadata={
            "help": "Settings of `accelerate launch` that go before the file's, such as num_processes=4.",
            "metavar": "NAME=VALUE",
        },
    )
    language: list[str] | None = field(
        default=None,
        metadata={
            "help": "Language of the texts, for the model card, such as en. None: not said.",
            "metavar": "CODE",
        },
    )
    quiet: bool = option(False, "Print results and errors only, without bars.")
    training_options: list[str] = field(default_factory=list)

    def __post_init__(self):
        word = str(self.resume).lower()  # as a switch it may be given true or false
        self.resume = NEWEST if word in YES else None if word in NO else self.resume
