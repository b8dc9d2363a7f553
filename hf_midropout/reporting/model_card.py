"""The model card: what a checkpoint is, what was measured and what was not, with metadata that the Hub reads."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, UndefinedError

from ..utils.json_files import read_json
from ..utils.project import INSTALL
from ..utils.report_names import REPORT_NAME
from ..utils.safe_paths import read_inside, write_inside
from ..utils.terminal import one_line
from .figure_list import CARD_FIGURES
from .report import Report


README = "README.md"
BEGIN = "<!-- hf_midropout: begin, generated -->"
END = "<!-- hf_midropout: end -->"
TAGS = ["hf_midropout", "mutual-information", "pruning", "text-classification"]


def write_card(folder: str | os.PathLike, **options) -> Path:
    """
    Writes the card of the checkpoint in `folder` into its `README.md`, merged with what is there.

    Args:
        folder (`str` or `os.PathLike`): A folder with a checkpoint.
        options: As of [`card_text`].

    Returns:
        `Path`: of the card.
    """
    existing = read_inside(folder, README) or ""
    return write_inside(folder, README, card_text(folder, existing, **options))


def card_text(
    folder: str | os.PathLike,
    existing: str = "",
    *,
    repo_id: str | None = None,
    name: str | None = None,
    report: Report | None = None,
    config: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
) -> str:
    """
    The card of the checkpoint in `folder`, merged with the README `existing`: its metadata win over ours, except the
    results of this training; its text stays, but for the part that an earlier card wrote.

    Args:
        folder (`str` or `os.PathLike`): A folder with a checkpoint.
        existing (`str`, *optional*): The README that is there.
        repo_id (`str`, *optional*): The repository it will be in; the snippet then loads from there.
        name (`str`, *optional*): Where the snippet loads from otherwise; `folder` if not given.
        report ([`Report`], *optional*): Of its training; the one in `folder` if not given.
        config (`dict`, *optional*): Its configuration; the one in `folder` if not given.
        metadata (`dict`, *optional*): What `Trainer.push_to_hub` was told to put into the card: `license`, `language`
            and `tags` are.

    Raises:
        `ValueError`: if `existing` begins with metadata that are not valid, the report is none of this package, or
            the model is no classifier of texts.
    """
    folder = Path(folder)
    config = read_json(folder / "config.json") if config is None else config
    report = Report.load(folder) if report is None else report
    figures = [path for path in CARD_FIGURES if (folder / path).is_file()] if report else []
    card = compose(report or Report(), config, existing, repo_id or name or str(folder), figures)
    for key in ("license", "language"):
        if metadata and metadata.get(key):
            setattr(card.data, key, metadata[key])
    tags = (metadata or {}).get("tags") or []
    card.data.tags = list(dict.fromkeys([*card.data.tags, *([tags] if isinstance(tags, str) else tags)]))
    return str(card)


def compose(report: Report, config: dict[str, Any], existing: str, name: str, figures: list[str]):
    """The `huggingface_hub.ModelCard` from what is in the files; see [`card_text`]."""
    from huggingface_hub import ModelCard

    from .kinds import kind_of

    try:
        kind = kind_of(report)
        values = kind.facts(report, config)
        section = (
            _template(kind.card)
            .render(
                escaped(values),
                name=name,
                example=values["example"],
                answer=values["answer"],
                citation=values["citation"],
                command_text=values["command"],
                install=INSTALL,
                figures=[{"path": path, "alt": CARD_FIGURES[path]} for path in figures],
            )
            .strip()
        )
        ours = hub_metadata(values, one_line(Path(name).name))
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError, UndefinedError) as error:
        raise ValueError(f"{REPORT_NAME} is not a report of this package: {one_line(repr(error))}.") from error
    # A name in a snippet must not end the part that the next card replaces.
    section = section.replace("<!--", "&lt;!--").replace("-->", "--&gt;")
    try:
        card = ModelCard(existing if existing.lstrip().startswith("---") else f"---\n{{}}\n---\n{existing}")
    except Exception as error:  # of yaml and of the card's own checks
        raise ValueError(f"{README} begins with metadata that cannot be read: {one_line(error)}") from error
    metadata: Any = card.data  # the attributes of `ModelCardData` are not typed
    begin, end = card.text.find(BEGIN), card.text.find(END)
    generated = 0 <= begin < end
    before, after = (card.text[:begin], card.text[end + len(END) :]) if generated else (card.text, "")
    if not (before + after).strip():
        section = f"# {Path(name).name}\n\n{section}"
        metadata.model_name = None
    merge_metadata(metadata, ours)
    card.text = "\n\n".join(
        part for part in (before.rstrip(), f"{BEGIN}\n\n{section}\n\n{END}", after.strip()) if part
    )
    card.text = f"\n{card.text.lstrip()}\n"
    return card


def hub_metadata(values: dict[str, Any], model_name: str):
    """`huggingface_hub.ModelCardData` with the results on the test split as `model-index`."""
    from huggingface_hub import EvalResult, ModelCardData

    test, name = values["test"], one_line(values["data_name"] or "")
    results = []
    if test and name:
        kinds = {"accuracy": ("accuracy", "Accuracy"), "macro_f1": ("f1", "Macro F1"), "loss": ("loss", "Loss (nats)")}
        kinds["expected_calibration_error"] = ("expected_calibration_error", "Expected calibration error")
        results = [
            EvalResult(
                task_type="text-classification",
                task_name="Text classification",
                dataset_type=name,
                dataset_name=name,
                dataset_split=one_line(test["split"]),
                metric_type=kind,
                metric_name=label,
                metric_value=round(test[key], 4),
            )
            for key, (kind, label) in kinds.items()
            if test[key] is not None
        ]
    return ModelCardData(
        base_model=values["base_link"],
        datasets=[values["data_link"]] if values["data_link"] else None,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=TAGS if values["own"] or values["layers"] else TAGS[-1:],
        metrics=["accuracy", "f1"] if results else None,
        language=[one_line(each, 20) for each in values["language"]] or None,
        widget=values["widget"] or None,
        model_name=model_name,
        eval_results=results or None,
    )


def merge_metadata(theirs, ours) -> None:
    """Puts `ours` into `theirs`: what is there stays, lists of tags grow, and results of the same kind are renewed."""
    theirs.tags = list(dict.fromkeys([*(theirs.tags or []), *(ours.tags or [])]))
    if ours.eval_results:
        renewed = {result.unique_identifier for result in ours.eval_results}
        others = [result for result in theirs.eval_results or [] if result.unique_identifier not in renewed]
        theirs.eval_results = others + ours.eval_results
        theirs.model_name = theirs.model_name or ours.model_name
    for key, value in vars(ours).items():
        if value and not getattr(theirs, key, None) and key not in ("eval_results", "model_name"):
            setattr(theirs, key, value)


def _template(name: str):
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), undefined=StrictUndefined, autoescape=False
    )
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.get_template(name)


def escaped(value: Any) -> Any:
    """`value` with every text in it, at any depth, as [`markdown_text`]: none is left to the template's care."""
    if isinstance(value, str):
        return markdown_text(value)
    if isinstance(value, dict):
        return {key: escaped(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(escaped(inner) for inner in value)
    return value


def markdown_text(value: Any) -> str:
    """`value` as one line of plain text: what someone named a class or a dataset must not become markup or a link."""
    text = one_line(value, 500)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = text.replace("://", "&#58;//").replace("@", "&#64;").replace("$", "&#36;")
    text = re.sub(r"\bwww\.", "www&#46;", text, flags=re.IGNORECASE)
    return re.sub(r"([\\`*_\[\]|#!~])(?!\d+;)", r"\\\1", text)
