"""`hf-midropout evaluate`: how good a trained classifier is on labelled texts, also beside another, row by row."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...utils.narration import tell, write
from ...utils.terminal import folded, one_line
from ...version import __version__
from ..checkpoint.checks import check_builtin_labels
from ..checkpoint.classifier import Classifier, bytes_of_weights, find_classifier
from ..options.names import options_named
from ..options.parser import command_parser
from ..output.narrating import narrate
from .arguments import GROUPS, EvaluateArguments
from .checks import KIND, check_arguments, common_label_names


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData
    from ...pruning.comparison.evaluation import Evaluation, PairedComparison
    from ...pruning.comparison.predictions import Predictions


POSITIONAL = ("checkpoint",)


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        EvaluateArguments,
        "evaluate",
        "Measures a trained classifier on labelled texts: accuracy, macro F1, loss (nats) and calibration error, with "
        "standard errors over the rows. With --compare another classifier answers the same rows, and the differences "
        "are those of pairs. It takes any checkpoint of a text classifier: pruned, stock, local or from the Hub.",
        GROUPS,
        positional=POSITIONAL,
        from_files=True,
    )


def main(args: EvaluateArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for options or data that do not fit a checkpoint, or a checkpoint that is refused, before
            anything is computed.
        `OSError`: for a checkpoint or dataset that cannot be read.
    """
    check_arguments(args)
    narrate(args)
    this = find_classifier(args.checkpoint, args.max_length, args.trust_remote_code)
    other = None
    if args.compare is not None:
        other = find_classifier(args.compare, args.max_length, args.trust_remote_code, "compare")
    label_names = common_label_names(this, other)
    if args.dataset is None:
        check_builtin_labels(dict(enumerate(label_names)))

    from ...data.for_model import Reading, load_labelled
    from ...data.splits import shorten

    with options_named(type(args)):
        data = load_labelled(Reading(args.dataset, args.split, **args.reading()), label_names)
    (split,) = data.splits
    shorten(data.splits, split, args.max_samples, args.seed, data.notes)
    rows = data.splits[split]
    of = "" if split == "all" else f"{split} "
    tokens = " and ".join(dict.fromkeys(str(each.max_length) for each in (this, other) if each))
    tell(f"Data: {Path(data.name).name}; {len(rows):,} {of}rows, cut to {tokens} tokens")
    for note in data.notes:
        tell(folded(f"  {note}", "    "))

    from ...pruning.comparison.evaluation import compare_paired, evaluate
    from ...reporting.evaluation_verdict import evaluation_verdict

    predictions, sizes = zip(*(run(each, data, args.batch_size) for each in (this, other) if each), strict=True)
    evaluations = [evaluate(each) for each in predictions]
    paired = compare_paired(predictions[0], predictions[1], args.margin) if other is not None else None
    beside = (titles(this, other)[1], evaluations[1], paired) if other is not None and paired is not None else None
    sentences = evaluation_verdict(evaluations[0], split, beside)
    print_table(titles(this, other), evaluations, paired, sizes)
    write()
    for sentence in sentences:
        write(folded(sentence))
    if args.output:
        from ...utils.files import write_json

        write_json(args.output, content(args, this, other, data, evaluations, paired, sizes, sentences))
        tell(f"Saved in {args.output}.")
    name = shlex.quote(one_line(args.checkpoint, 500))
    tell(f'Next: hf-midropout predict {name} --text "..."')


def titles(this: Classifier, other: Classifier | None) -> list[str]:
    """Names for people; whole ones where the short ones are the same."""
    given = [each for each in (this, other) if each is not None]
    short = [each.title for each in given]
    return short if len(set(short)) == len(short) else [each.name for each in given]


def run(classifier: Classifier, data: TextClassificationData, batch_size: int) -> tuple[Predictions, dict[str, int]]:
    """What a classifier predicts for the rows, in their order, and its sizes."""
    from ...reporting.building import num_parameters

    tell(f"Loading {one_line(classifier.name)}")
    predictions, model = classifier.predict(data, batch_size)
    return predictions, {"parameters": num_parameters(model), "bytes": bytes_of_weights(classifier.folder)}


def print_table(
    names: list[str], evaluations: list[Evaluation], paired: PairedComparison | None, sizes: tuple[dict[str, int], ...]
) -> None:
    """The metrics with their standard errors, one a row, in 80 columns."""
    from ...reporting.verdict import plus_minus

    columns = [one_line(name, 18) for name in names] + ["difference"] * (paired is not None)
    write(f"\n{'':<18}" + "".join(f"{column:>20}" for column in columns))
    for metric in evaluations[0].metrics:
        cells = [plus_minus(each.metrics[metric], sign="-") for each in evaluations]
        cells += [plus_minus(paired.differences[metric])] if paired else []
        name = {"loss": "loss (nats)", "expected_calibration_error": "calibration error"}.get(metric, metric)
        write(f"{name.replace('_', ' '):<18}" + "".join(f"{cell:>20}" for cell in cells))
    write(f"{'parameters':<18}" + "".join(f"{each['parameters']:>20,}" for each in sizes))
    write(f"{'weights (MB)':<18}" + "".join(f"{each['bytes'] / 1e6:>20,.1f}" for each in sizes))


def content(
    args: EvaluateArguments,
    this: Classifier,
    other: Classifier | None,
    data: TextClassificationData,
    evaluations: list[Evaluation],
    paired: PairedComparison | None,
    sizes: tuple[dict[str, int], ...],
    sentences: list[str],
) -> dict[str, Any]:
    """What the file of `--output` holds."""
    ((split, rows),) = data.splits.items()
    classifiers = [
        {"checkpoint": each.name, "max_length": each.max_length, **size, **asdict(evaluation)}
        for each, size, evaluation in zip((this, other), sizes, evaluations, strict=False)
        if each is not None
    ]
    return {
        "kind": KIND,
        "hf_midropout_version": __version__,
        "verdict": sentences,
        "data": {
            "name": data.name,
            "source": data.source,
            "split": split,
            "rows": len(rows),
            "labels": data.label_names,
            "notes": data.notes,
        },
        "classifier": classifiers[0],
        **({"compared_with": classifiers[1], "paired": asdict(paired)} if paired is not None else {}),
    }
