"""What the model card says, out of a report and a configuration; what a report lacks is left out."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from ..model_types import brings_code, is_own
from ..pruning.record.schema import Validation
from ..utils.terminal import one_line
from .citation import CITATION
from .examples import example_texts
from .parts import HUB_ID, MADE_HERE, MUTUAL_INFORMATION, NAMES, criterion_name, encoder_of, read_baselines
from .report import Example, Report
from .verdict import sizes, verdict


MOMENTS = {
    "before_pruning": "before pruning",
    "after_pruning": "after pruning",
    "after_retraining": "after retraining",
}
SETTINGS = (
    "num_train_epochs", "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "warmup_steps",
    "weight_decay", "max_length", "seed",
)  # fmt: skip
PLACES = {"head": "classification head", "encoder": "encoder", "all": "encoder and classification head"}


def common_facts(report: Report, config: dict[str, Any]) -> dict[str, Any]:
    """
    The values that all templates share.

    Args:
        report ([`Report`]): Of a training, whole, partial, or empty.
        config (`dict`): The checkpoint's `config.json`.

    Raises:
        `KeyError`, `TypeError`, `AttributeError`, `IndexError`, `ValueError`: if a `config` is not such a one.
    """
    model, data = report.model, report.data
    labels = list((config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}).values())
    kind = problem_type(config, labels)
    return {
        "labels": labels,
        "base": (
            "a tiny ALBERT with random weights"
            if model.base_model == MADE_HERE
            else public_name(model.base_model, model.base_model_source)
        ),
        "base_link": hub_link(model.base_model, model.base_model_source),
        "data_name": public_name(data.name, data.source),
        "data_link": hub_link(data.name, data.source),
        "own": brings_code(config.get("model_type")),
        "architecture": architecture(config),
        "encoder": encoder_of(config)[0],
        "regression": kind == "regression",
        "multi_label": kind == "multi_label_classification",
        "verdict": verdict(report) if report.test and (report.encoder or report.pruning) else [],
        "model": vars(model),
        "test": vars(report.test) if report.test else None,
        "dense_test": vars(report.dense_test) if report.dense_test else None,
        "rows": ", ".join(f"{count:,} {split}" for split, count in data.rows.items()),
        "notes": data.notes,
        "versions": versions(report),
        "example": example_of(report),
        "answer": answer_of(report),
        "widget": widget_of(report),
        "language": report.language,
        "sizes": sizes(report),
        "command": command_of(report),
        "citation": CITATION,
        "named": not all(re.fullmatch(r"LABEL_\d+|\d+", str(label)) for label in labels),
    }


def head_facts(report: Report, config: dict[str, Any]) -> dict[str, Any]:
    """The values of the templates about a training that dropped neurons of the head; as [`common_facts`]."""
    pruning = report.pruning
    layers = pruning.layers if pruning else []
    before, after = sum(layer.neurons for layer in layers), sum(layer.kept for layer in layers)
    validation = pruning.validation if pruning else Validation()
    moments = [
        (title, before if key == "before_pruning" else after, vars(metrics))
        for key, title in MOMENTS.items()
        if (metrics := getattr(validation, key))
    ]
    settings_of_it = pruning.config if pruning else {}
    action = settings_of_it.get("action", "prune")
    if action != "prune":
        after = before  # neurons that training treated otherwise are all still there
    scores = pruning.pruning_steps[0].scores if pruning else None
    widths = config.get("head_widths", [])
    targets = settings_of_it.get("targets", "head")
    kept_in_head = [layer.kept for layer in layers if not layer.name.startswith("encoder.")]
    return common_facts(report, config) | {
        "widths": widths,
        "layers": [vars(layer) for layer in layers],
        "neurons_before": before,
        "neurons_after": after,
        "dropped": after < before and action == "prune",
        "action": action if after < before else "none",
        "criterion": criterion_name(pruning),
        "place": PLACES.get(targets, PLACES["head"]),
        "cut": targets == "encoder",
        "compact": targets == "encoder" or not is_own(config.get("model_type")) or widths == kept_in_head,
        "refused": pruning.refused if pruning else None,
        "validation": moments,
        "baselines": read_baselines(report),
        "entropy": scores.label_entropy_bits if scores else None,
        "samples": f"estimated from {scores.num_samples:,} training rows" if scores else "",
        "step": pruning.step if pruning else None,
        "max_steps": pruning.max_steps if pruning else None,
        "rule": rule(settings_of_it),
        "settings": settings(report.training_arguments),
    }


def example_of(report: Report) -> str | dict[str, str]:
    """What the snippet classifies."""
    text, pair = next(
        ((each.text, each.text_pair) for each in plain_examples(report)),
        example_texts(report.data.name, report.data.pairs)[0],
    )
    return text if pair is None else {"text": text, "text_pair": pair}


def answer_of(report: Report) -> str | None:
    """What it prints, if that is known."""
    first = next(iter(plain_examples(report)), None)
    if first is None:
        return None
    answer = {"label": one_line(first.label, 80), "score": round(first.score, 4)}
    return repr(answer if first.text_pair is not None else [answer])


def widget_of(report: Report) -> list[dict[str, str]]:
    """Examples for the Hub's page."""
    return [
        {"text": one_line(each.text, 500)}
        | ({"text_pair": one_line(each.text_pair, 500)} if each.text_pair is not None else {})
        for each in plain_examples(report)
    ]


def command_of(report: Report) -> str:
    """That made the checkpoint; "" if it is not known."""
    command = report.encoder.command if report.encoder else report.command
    return command if is_plain(command) else ""


def plain_examples(report: Report) -> list[Example]:
    """Those that hold nothing that could be taken for markup or a link, in a card that escapes nothing in them."""
    return [each for each in report.examples if is_plain(f"{each.text} {each.text_pair} {each.label}")]


def is_plain(text: str) -> bool:
    """Whether `text` can stand in a block of code: of a stranger's report it may be anything."""
    return text.isprintable() and not any(sign in text.lower() for sign in ("`", "<", ">", "://", "www.", "@"))


def hub_link(name: str | None, source: str | None) -> str | None:
    """`name` if it was loaded from the Hub, so that a link to it leads to what was used; else `None`."""
    return name if source == "hub" and name and HUB_ID.fullmatch(name) else None


def public_name(name: str | None, source: str | None) -> str | None:
    """A Hub id as it is, of a path only its last part: where files lie on someone's machine is nobody's business."""
    if name is None or hub_link(name, source):
        return name
    return PurePosixPath(name.replace("\\", "/")).name or None


def architecture(config: dict[str, Any]) -> str:
    """
    The name of the model's class, or of its type.

    Raises:
        `ValueError`: if the config says that the model is for something else than classifying texts.
    """
    names = config.get("architectures")
    name = names[0] if isinstance(names, list) and names and isinstance(names[0], str) else None
    task = re.search(r"For(?!SequenceClassification)([A-Z]\w*)$|Model$", name or "")
    if task:
        raise ValueError(f"config.json: architectures={names}: must be a ...ForSequenceClassification.")
    return name or str(config.get("model_type") or "an unknown architecture")


def problem_type(config: dict[str, Any], labels: list[str]) -> str:
    """What kind of answer the model gives, as `config.json` says or transformers takes it to be."""
    known = ("regression", "single_label_classification", "multi_label_classification")
    said = config.get("problem_type")
    return said if said in known else "regression" if len(labels) == 1 else "single_label_classification"


def rule(config: dict[str, Any]) -> str:
    """How neurons were chosen, in words."""
    if isinstance(config.get("threshold"), (int, float)):
        text = f"neurons with fewer than {config['threshold']:g} bits are dropped"
    elif config.get("threshold"):
        text = "the highest threshold at which the pruned network is not inferior to the dense one on validation rows"
    else:
        where = "of all layers together" if config.get("scope") == "global" else "of each layer"
        text = f"the best {config.get('keep') or 0.5:.0%} {where} are kept"
    if config.get("criterion", MUTUAL_INFORMATION) != MUTUAL_INFORMATION:
        text += f", by {NAMES.get(config['criterion'], config['criterion'].replace('_', ' '))}"
    if config.get("pruning_steps", 1) > 1:
        text += f", in {config['pruning_steps']} steps"
    if config.get("reconstruction", "none") != "none":
        text += f"; the weights that read them are refitted ({config['reconstruction'].replace('_', ' ')})"
    return text


def settings(arguments: dict[str, Any]) -> list[str]:
    """The options of the training that readers ask for."""
    return [f"{name} {arguments[name]}" for name in SETTINGS if arguments.get(name) is not None]


def versions(report: Report) -> str:
    """Packages and Python."""
    named = ("python", "torch", "transformers", "datasets", "huggingface-hub")
    found = [f"hf_midropout {report.hf_midropout_version}"] if report.hf_midropout_version else []
    return (
        ", ".join(found + [f"{name} {report.environment[name]}" for name in named if name in report.environment]) + "."
    )
