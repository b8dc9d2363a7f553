"""
Makes the Trainer's own pushes whole.

A push in the middle of training leaves out the code that `auto_map` in `config.json` names, any push writes a
draft of a card over the README, and all carry `training_args.bin`, a pickle. `prepare_push` mends this at
`on_push_begin`; the last push, after training, carries the compact model.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..groups.sharding import full_module
from ..model_types import code_files, is_own, stock_type
from ..pruning.record.training import PruningRecord
from ..reporting.building import environment, model_sizes, source_of
from ..reporting.drawing import draw_figures
from ..reporting.model_card import write_card
from ..reporting.parts import training_log
from ..reporting.report import Data, Model, Report
from ..utils.safe_paths import read_inside, write_inside


ARGUMENTS = (
    "num_train_epochs", "max_steps", "learning_rate", "per_device_train_batch_size", "gradient_accumulation_steps",
    "warmup_steps", "weight_decay", "seed",
)  # fmt: skip


def prepare_push(trainer, record: PruningRecord | None) -> None:
    """
    Puts into the output folder of `trainer` what its next push lacks: code, report, figures, card.

    Args:
        trainer ([`~transformers.Trainer`]): The one that is about to push.
        record ([`PruningRecord`], *optional*): What happened to the neurons so far.
    """
    ended = record is not None and record.after is not None
    model = trainer.accelerator.unwrap_model(trainer.model)
    if ended:
        model = full_module(model, model.config)  # of the last push every process has a part, of others the main one
    if not trainer.is_world_process_zero():
        return
    folder = Path(trainer.args.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if is_own(model.config.model_type):
        for name in code_files(str(stock_type(model.config.model_type))):
            write_inside(folder, name, (Path(__file__).parents[1] / "models" / name).read_bytes())
    keep_out(folder, ["training_args.bin"])
    describe(trainer, record, model, folder)

    def create_model_card(**metadata) -> None:
        # The Trainer calls this right before it uploads the folder, after saving the masked model there.
        final = model
        if ended and hasattr(model, "compact"):
            final = model.compact()
            final.save_pretrained(folder)
        describe(trainer, record, final, folder, metadata)

    trainer.create_model_card = create_model_card


def describe(
    trainer, record: PruningRecord | None, model, folder: Path, metadata: dict[str, Any] | None = None
) -> None:
    """Writes report, figures and card of `model` into `folder`; without a `record`, only the card."""
    report = Report()
    if record is not None:
        report = trainer_report(trainer, record, model)
        report.save(folder)
        with tempfile.TemporaryDirectory(prefix="hf_midropout.") as drawing:
            for figure in draw_figures(report, drawing):
                write_inside(folder, f"figures/{figure.name}", figure.read_bytes())
    write_card(
        folder, repo_id=trainer.hub_model_id, report=report, config=model.config.to_dict(), metadata=metadata or {}
    )


def trainer_report(trainer, record: PruningRecord, model) -> Report:
    """The report of `hf-midropout train`, without what a Trainer does not know: the data's name and a test split."""
    rows = {"train": trainer.train_dataset, "validation": trainer.eval_dataset}
    masked = trainer.accelerator.unwrap_model(trainer.model)
    base = model.config.name_or_path or None
    return Report.of(
        record,
        model=Model(base_model=base, base_model_source=source_of(base), **model_sizes(masked, model, record)),
        data=Data(
            labels=list(model.config.id2label.values()),
            rows={split: len(dataset) for split, dataset in rows.items() if hasattr(dataset, "__len__")},
        ),
        training_arguments={name: getattr(trainer.args, name) for name in ARGUMENTS},
        training_log=training_log(trainer.state.log_history),
        environment=environment(),
    )


def keep_out(folder: Path, names: list[str]) -> None:
    """Lists `names` in the folder's `.gitignore`, which the Hub heeds."""
    lines = (read_inside(folder, ".gitignore") or "").splitlines()
    missing = [name for name in names if name not in lines]
    if missing:
        write_inside(folder, ".gitignore", "\n".join([*lines, *missing]) + "\n")
