"""`hf-midropout score`: how many bits the neurons of a trained classifier carry about the label."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .data_arguments import DataArguments, option
from .parser import command_parser


if TYPE_CHECKING:
    from ..data import TextClassificationData


POSITIONAL = ("checkpoint",)


@dataclass(kw_only=True)
class ScoreArguments(DataArguments):
    """Options of `hf-midropout score`; each field is `--field`."""

    checkpoint: str = field(
        metadata={"help": "The classifier: a local folder or a Hub id. The option's name may be left out."}
    )
    split: str = option("train", "Split to score on: train, validation or test.")
    layers: list[str] | None = field(
        default=None,
        metadata={
            "help": "Patterns of module names, with * and ?, such as '*.ffn'. None: the head's layers of a MIDropout "
            "checkpoint."
        },
    )
    max_samples: int = option(10_000, "Rows to score with, drawn at random; 0 for all.")
    max_length: int = option(128, "Tokens to cut texts to.")
    batch_size: int = option(64, "Rows per batch.")
    seed: int = option(0, "Seed of the draw.")
    output: str | None = option(None, "JSON file for the scores. None: only the table on the terminal.")
    figure: str | None = option(None, "PNG file for a histogram of bits. None: no figure.")
    trust_remote_code: bool = option(
        False, "Run code that comes with the checkpoint, should its model be neither in transformers nor here."
    )


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        ScoreArguments,
        "score",
        "Scores every neuron of some layers of a trained classifier by the mutual information (bits) "
        "between the neuron and the label, and prints a table. Nothing is changed or trained. A checkpoint for "
        "several binary labels takes a column of lists, one for regression a column of numbers. A checkpoint that is "
        "not what it says it is gets refused before it is loaded.",
    )


def main(args: ScoreArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for options or data that do not fit the checkpoint, or a checkpoint that is refused, before
            anything is scored.
        `OSError`: for a checkpoint or dataset that cannot be read.
    """
    from ..hub import pull

    checkpoint = pull(args.checkpoint, trust_remote_code=args.trust_remote_code)

    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from ..scoring import score_neurons
    from ..taps import find_layers

    tokenizer = AutoTokenizer.from_pretrained(checkpoint, trust_remote_code=args.trust_remote_code)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, trust_remote_code=args.trust_remote_code)
    data = load_data(args, model.config)
    if args.split not in data.splits:
        raise ValueError(f"--split {args.split}: must be one of {', '.join(data.splits)}.")
    layers = find_layers(model, args.layers)
    scores = score_neurons(
        model,
        data.tokenize(tokenizer, args.max_length, [args.split])[args.split],
        layers=layers,
        processing_class=tokenizer,
        batch_size=args.batch_size,
        max_samples=args.max_samples or None,
        seed=args.seed,
    )
    print(scores)
    if args.output:
        scores.save(args.output)
        print(f"Saved in {Path(args.output)}.")
    if args.figure:
        print(f"Drawn in {scores.plot(args.figure)}.")


def load_data(args: ScoreArguments, config) -> TextClassificationData:
    """The data, with labels of the kind that the model's config tells."""
    from datasets import DatasetDict

    from ..data import TextClassificationData, load_text_classification
    from ..data_targets import load_texts_with_targets
    from ..problem_types import find_problem_type

    columns: dict[str, Any] = {
        "subset": args.dataset_config,
        "text_column": args.text_column,
        "label_column": args.label_column,
    }
    problem_type = find_problem_type(config)
    if problem_type != "single_label_classification":
        rows = load_texts_with_targets(args.dataset, args.split, problem_type, config.num_labels, **columns)
        return TextClassificationData(str(args.dataset), DatasetDict({args.split: rows}), [])
    data = load_text_classification(args.dataset, **columns)
    check_label_names(config.id2label, data.label_names)
    return data


def check_label_names(id2label: dict[int, str], label_names: list[str]) -> None:
    """`ValueError` if the classes of the data are not those of the model, in its order."""
    names = [id2label[index] for index in sorted(id2label)]
    if len(names) != len(label_names):
        raise ValueError(
            f"The data has {len(label_names)} classes ({', '.join(label_names)}), the model {len(names)} "
            f"({', '.join(names)})."
        )
    if names != label_names and not all(name.startswith("LABEL_") for name in names):
        raise ValueError(
            f"The data's classes are {', '.join(label_names)}, the model's are {', '.join(names)}: must be the same, "
            "in the same order."
        )
