"""`hf-midropout score`: how many bits the neurons of a trained classifier carry about the label."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...utils.narration import tell, write
from ...utils.terminal import folded, one_line
from ..checkpoint.checks import check_builtin_labels, check_label_names, config_of, find_checkpoint
from ..checkpoint.classifier import load
from ..options.data import load_data
from ..options.names import options_named
from ..options.parser import command_parser
from ..output.narrating import narrate
from .arguments import GROUPS, ScoreArguments
from .checks import check_arguments, check_skeleton


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData


POSITIONAL = ("checkpoint",)


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        ScoreArguments,
        "score",
        "Scores neurons of a trained classifier by the mutual information (bits) "
        "between the neuron and the label, and prints a table. Nothing is changed or trained. A checkpoint for "
        "several binary labels takes a column of lists, one for regression a column of numbers. A checkpoint that is "
        "not what it says it is gets refused before it is loaded.",
        GROUPS,
        positional=POSITIONAL,
        from_files=True,
    )


def main(args: ScoreArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for options or data that do not fit the checkpoint, or a checkpoint that is refused, before
            anything is scored.
        `OSError`: for a checkpoint or dataset that cannot be read.
    """
    check_arguments(args)
    narrate(args)
    checkpoint = find_checkpoint(args.checkpoint, args.trust_remote_code)

    from ...scoring.neurons import score_neurons

    config = config_of(checkpoint, args.trust_remote_code)
    max_length = check_skeleton(args, config, checkpoint)
    data = load_labelled_data(args, config)
    if args.split not in data.splits:
        raise ValueError(f"--split {args.split}: the data has {', '.join(data.splits)} only.")
    rows = f"{len(data.splits[args.split]):,} {args.split} rows"
    tell(f"Data: {Path(data.name).name}; {rows}, cut to {max_length} tokens")
    for note in data.notes:
        tell(folded(f"  {note}", "    "))
    tell(f"Loading {one_line(args.checkpoint)}")
    tokenizer, model = load(checkpoint, args.trust_remote_code)
    with options_named(type(args)):
        scores = score_neurons(
            model,
            data.tokenize(tokenizer, max_length, [args.split])[args.split],
            targets=args.targets,
            layers=args.layers,
            processing_class=tokenizer,
            batch_size=args.batch_size,
            max_samples=args.max_samples or None,
            seed=args.seed,
            progress=not args.quiet,
        )
    write(f"\n{scores}" if not args.quiet else str(scores))
    if args.output:
        scores.save(args.output)
        tell(f"Saved in {Path(args.output)}.")
    if args.figure:
        Path(args.figure).parent.mkdir(parents=True, exist_ok=True)
        tell(f"Drawn in {scores.save_figure(args.figure)}.")


def load_labelled_data(args: ScoreArguments, config) -> TextClassificationData:
    """The data, with labels of the kind that the model's config tells."""
    from ...data.targets import load_texts_with_targets
    from ...scoring.problem_types import find_problem_type

    problem_type = find_problem_type(config)
    if problem_type == "single_label_classification":
        if args.dataset is None:
            check_builtin_labels(config.id2label)
        data = load_data(args, needs_train=False)
        check_label_names(config.id2label, data.label_names)
        return data
    with options_named(type(args)):
        return load_texts_with_targets(args.dataset, args.split, problem_type, config.num_labels, **args.reading())
