"""What the model card says, out of a report and a configuration; parts that a report lacks are left out."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from ..checkpoints.config_checks import MODEL_TYPE
from .parts import HUB_ID, MADE_HERE, MUTUAL_INFORMATION, NAMES, criterion_name, read_baselines


MOMENTS = {
    "before_pruning": "before pruning",
    "after_pruning": "after pruning",
    "after_retraining": "after retraining",
}
SETTINGS = (
    "num_train_epochs", "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps", "warmup_steps",
    "weight_decay", "max_length", "seed",
)  # fmt: skip


def facts(report: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """
    The values of the template.

    Args:
        report (`dict`): The report of a training, whole, partial, or empty.
        config (`dict`): The checkpoint's `config.json`.

    Raises:
        `KeyError`, `TypeError`, `AttributeError`, `IndexError`, `ValueError`: if `report` is not such a report.
    """
    model, pruning, data = report.get("model", {}), report.get("pruning", {}), report.get("data", {})
    layers = pruning.get("layers", [])
    before, after = (sum(layer[key] for layer in layers) for key in ("neurons", "kept"))
    labels = list((config.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}).values())
    validation = pruning.get("validation", {})
    moments = [
        (title, before if key == "before_pruning" else after, validation[key])
        for key, title in MOMENTS.items()
        if key in validation
    ]
    rows = dict(data.get("rows", {}))
    action = pruning.get("config", {}).get("action", "prune")
    if action != "prune":
        after = before  # neurons that training treated otherwise are all still there
    scores = pruning["pruning_steps"][0]["scores"] if "pruning_steps" in pruning else pruning.get("before", {})
    base, base_source = model.get("base_model"), model.get("base_model_source")
    name, data_source = data.get("name"), data.get("source")
    widths = config.get("head_widths", [])
    return {
        "labels": labels,
        "widths": widths,
        "base": "a tiny ALBERT with random weights" if base == MADE_HERE else public_name(base, base_source),
        "base_link": hub_link(base, base_source),
        "data_link": hub_link(name, data_source),
        "own": config.get("model_type") == MODEL_TYPE,
        "architecture": architecture(config),
        "regression": problem_type(config, labels) == "regression",
        "multi_label": problem_type(config, labels) == "multi_label_classification",
        "model": {key: model.get(key) for key in MODEL_KEYS},
        "layers": layers,
        "neurons_before": before,
        "neurons_after": after,
        "dropped": after < before and action == "prune",
        "action": action if after < before else "none",
        "criterion": criterion_name(pruning),
        "compact": config.get("model_type") != MODEL_TYPE or widths == [layer["kept"] for layer in layers],
        "refused": pruning.get("refused"),
        "validation": moments,
        "test": report.get("test"),
        "dense_test": report.get("dense_test"),
        "rows": ", ".join(f"{count:,} {split}" for split, count in rows.items()),
        "baselines": read_baselines(report),
        "entropy": scores.get("label_entropy_bits"),
        "samples": f"estimated from {scores['num_samples']:,} training rows" if layers else "",
        "step": pruning.get("step"),
        "max_steps": pruning.get("max_steps"),
        "rule": rule(pruning.get("config", {})),
        "data_name": public_name(name, data_source),
        "notes": data.get("notes", []),
        "settings": settings(report.get("training_arguments", {})),
        "versions": versions(report),
        "languages_note": "",
        "example": "Opens a socket and listens for connections." if name == "python-docs" else "A text to classify.",
    }


MODEL_KEYS = (
    "head_parameters_before", "head_parameters_after", "parameters_before", "parameters_after",
    "largest_logit_difference",
)  # fmt: skip


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


def versions(report: dict[str, Any]) -> str:
    """Packages and Python."""
    environment = report.get("environment", {})
    named = ("python", "torch", "transformers", "datasets", "huggingface-hub")
    found = [f"hf_midropout {report['hf_midropout_version']}"] if "hf_midropout_version" in report else []
    return ", ".join(found + [f"{name} {environment[name]}" for name in named if name in environment]) + "."
