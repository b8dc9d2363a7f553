"""`hf-midropout predict`: the classes of texts, by a trained classifier."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ...utils.listing import listed
from ...utils.narration import tell
from ...utils.terminal import folded, one_line
from ..checkpoint.classifier import Classifier, find_classifier
from ..options.names import options_named
from ..options.parser import command_parser
from ..output.narrating import narrate
from .arguments import GROUPS, PredictArguments
from .checks import check_arguments


if TYPE_CHECKING:
    import torch


POSITIONAL = ("checkpoint",)
TEXTS = ("text", "text_pair")
SHOWN = 200
"""Characters of a text on the terminal."""


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        PredictArguments,
        "predict",
        "Classifies texts: of a dataset, of --text, or one a line from the standard input. It takes any checkpoint of "
        "a text classifier: pruned, stock, local or from the Hub. Rows keep their order; one without a text gets no "
        "class.",
        GROUPS,
        positional=POSITIONAL,
        from_files=True,
    )


def main(args: PredictArguments) -> None:
    """
    Runs the command.

    Raises:
        `ValueError`: for options or data that make no sense, or a checkpoint that is refused, before anything is
            computed.
        `OSError`: for a checkpoint or dataset that cannot be read.
    """
    check_arguments(args)
    narrate(args)
    classifier = find_classifier(args.checkpoint, args.max_length, args.trust_remote_code)
    if args.label_names is not None:  # of a model that has none, or has the same
        check_names(args.label_names, classifier)
    columns = texts_of(args)
    filled = [row for row, texts in enumerate(zip(*columns, strict=True)) if all(text.strip() for text in texts)]
    if not filled:
        raise ValueError("There is no text to classify: all rows are empty.")
    if not args.quiet:
        told = f"Classifying {len(filled):,} text{'s' * (len(filled) > 1)} with {one_line(classifier.name)}"
        print(told, file=sys.stderr, flush=True)
    probabilities = run(classifier, [[column[row] for row in filled] for column in columns], args.batch_size)
    rows = list(predicted(classifier, columns, dict(zip(filled, probabilities, strict=True)), args.probabilities))
    if args.output is None:
        for row in rows:
            shown = [one_line(row[name], SHOWN) for name in TEXTS[: len(columns)]]
            label, probability = row["label"], row["probability"]
            each = [f"{name}={value:.4f}" for name, value in (row.get("probabilities") or {}).items()]
            print("\t".join([str(label or ""), "" if label is None else f"{probability:.4f}", *each, *shown]))
        return

    from ...utils.files import write_text

    write_text(args.output, as_csv(rows) if args.output.lower().endswith(".csv") else as_json_lines(rows))
    counts = Counter(row["label"] for row in rows if row["label"] is not None).most_common()
    told = listed(counts, lambda entry: f"{entry[1]:,} {one_line(entry[0], 60)}")
    tell(folded(f"Classified {len(filled):,} of {len(rows):,} rows: {told}."))
    tell(f"Saved in {args.output}.")


def check_names(label_names: list[str], classifier: Classifier) -> None:
    """Names the classes of a model without names; `ValueError` if it has others, or another number of them."""
    names = classifier.label_names
    if len(set(label_names)) != len(names) or len(label_names) != len(names):
        raise ValueError(f"--label_names {' '.join(label_names)}: must be {len(names)} different names, one a class.")
    if names != label_names and not all(name.startswith("LABEL_") for name in names):
        raise ValueError(f"--label_names {' '.join(label_names)}: the model's classes have names: {listed(names)}.")
    classifier.config.id2label = dict(enumerate(label_names))


def texts_of(args: PredictArguments) -> list[list[str]]:
    """One list of texts, or two of pairs."""
    if args.text is not None:
        return [args.text, *([args.text_pair] if args.text_pair is not None else [])]
    if args.dataset is None:
        lines = [line.rstrip("\r\n") for line in sys.stdin]
        if not lines:
            raise ValueError("The standard input is empty: must be one text a line.")
        return [lines]
    from ...data.for_model import Reading, load_texts

    with options_named(type(args)):
        return load_texts(Reading(args.dataset, args.split, **args.reading()))[0]


def run(classifier: Classifier, columns: list[list[str]], batch_size: int) -> torch.Tensor:
    """`[N, C]` probabilities of the classes of texts, or of pairs of them, none of which is empty."""
    from datasets import Dataset, DatasetDict

    from ...data.datasets import TextClassificationData

    # Batches hold labels wherever else they go; what these are does not matter here.
    texts = Dataset.from_dict(dict(zip(TEXTS, columns, strict=False)) | {"label": [0] * len(columns[0])})
    data = TextClassificationData("texts", DatasetDict(texts=texts), classifier.label_names)
    return classifier.predict(data, batch_size)[0].logits.double().softmax(-1)


def predicted(
    classifier: Classifier, columns: list[list[str]], probabilities: dict[int, torch.Tensor], all_classes: bool
) -> Iterator[dict[str, Any]]:
    """What is known of each row, in their order: texts, label, its probability; `None` where there is no text."""
    names = classifier.label_names
    for row, texts in enumerate(zip(*columns, strict=True)):
        found = probabilities.get(row)
        best = None if found is None else int(found.argmax())
        content: dict[str, Any] = dict(zip(TEXTS, texts, strict=False))
        content["label"] = None if best is None else names[best]
        content["probability"] = None if found is None or best is None else float(found[best])
        if all_classes:
            values = [None] * len(names) if found is None else found.tolist()
            content["probabilities"] = dict(zip(names, values, strict=True))
        yield content


def as_json_lines(rows: list[dict[str, Any]]) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """A header and one line a row; the probability of class `x` is in the column `probability of x`."""
    flat = [
        {name: value for name, value in row.items() if name != "probabilities"}
        | {f"probability of {name}": value for name, value in row.get("probabilities", {}).items()}
        for row in rows
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, list(flat[0]))
    writer.writeheader()
    writer.writerows(flat)
    return file.getvalue()
