"""Fine-tunes the whole classifier, encoder and head, by one method at one setting, in a Trainer with our callback."""

from __future__ import annotations

import hashlib
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import datasets
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from ..data.datasets import load_text_classification
from ..pruning.comparison.predictions import predict
from ..pruning.config import MIDropoutConfig
from ..scoring.batches import batches_for
from ..training.callback import MIDropoutCallback
from ..utils.files import write_json
from .encoder import load_encoder
from .methods import Method, Setting
from .new_head import head_fields
from .outcome import Outcome
from .schedule import Schedule, chosen_rows


logger = logging.getLogger(__name__)

EVAL_BATCH_SIZE = 64
FORMAT = 1


@dataclass(frozen=True)
class FineTunings:
    """
    Trainings of one dataset, each of which is kept in a file as soon as it is done.

    Args:
        encoder (`str`): A folder, or an id on the Hub.
        splits (`datasets.DatasetDict`): `train`, `validation` and `test`, tokenized.
        num_classes (`int`): Of the labels.
        digest (`str`): Of the encoder's weights and all texts.
        done (`Path`): The folder of the files.
    """

    encoder: str
    splits: datasets.DatasetDict
    num_classes: int
    digest: str
    done: Path

    @property
    def rows(self) -> dict[str, int]:
        return {name: len(rows) for name, rows in self.splits.items()}

    def train(
        self, method: Method, setting: Setting, schedule: Schedule, seeds: Sequence[int], compared: bool
    ) -> list[Outcome]:
        outcomes = []
        for seed in seeds:
            file = self.file(method, setting, schedule, seed, compared)
            outcome = read_outcome(file)
            if outcome is None:
                outcome = self.fine_tune(method, setting, schedule, seed, compared)
                write_json(file, outcome.to_dict())
            outcomes.append(outcome)
        return outcomes

    def file(self, method: Method, setting: Setting, schedule: Schedule, seed: int, compared: bool) -> Path:
        """Named after all that the outcome depends on."""
        made_by = [FORMAT, self.digest, asdict(method), asdict(setting), asdict(schedule), seed, compared]
        return self.done / f"{hashlib.sha256(json.dumps(made_by).encode()).hexdigest()[:16]}.json"

    def fine_tune(self, method: Method, setting: Setting, schedule: Schedule, seed: int, compared: bool) -> Outcome:
        """One training: rows, their order and the new head are the same for all methods of a seed."""
        if schedule.rows > len(self.splits["train"]):
            raise ValueError(f"{schedule.rows} rows: the training split has {len(self.splits['train'])}.")
        fields = head_fields(method, setting, schedule)
        tokenizer, model = load_encoder(
            self.encoder,
            seed=seed,
            new_head=True,
            num_labels=self.num_classes,
            head_widths=list(schedule.head_widths),
            **fields,
        )
        rows = self.splits["train"].select(chosen_rows(schedule, len(self.splits["train"]), seed).tolist())
        outcome = Outcome(seed)

        def metrics(split: str) -> dict[str, float]:
            return predict(
                model, batches_for(model, self.splits[split], EVAL_BATCH_SIZE, processing_class=tokenizer)
            ).metrics()

        evaluated = schedule.evaluated() if compared else {schedule.steps}
        optimizer = torch.optim.AdamW(model.parameters(), lr=setting.learning_rate, weight_decay=0.0)
        callback = MIDropoutCallback(callback_config(method, setting, schedule, seed))
        set_seed(seed)
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                model,
                TrainingArguments(
                    folder, max_steps=schedule.steps, per_device_train_batch_size=schedule.batch_size, seed=seed,
                    data_seed=seed, save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True,
                    dataloader_pin_memory=torch.accelerator.is_available(),
                ),
                train_dataset=rows,
                processing_class=tokenizer,
                optimizers=(
                    optimizer, LambdaLR(optimizer, lambda step: schedule.learning_rate(step, method.rewind)),
                ),
                callbacks=[callback, _Curve(outcome, evaluated, lambda: metrics("validation"))],
            )  # fmt: skip
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        note_record(outcome, callback)
        if compared:
            outcome.test = metrics("test")
        return outcome


def read_outcome(file: Path) -> Outcome | None:
    """What a training left; `None` if there is nothing, or, with a warning, nothing that can be read."""
    try:
        outcome = Outcome(**json.loads(file.read_text(encoding="utf-8")))
        if outcome.curve:
            return outcome
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError):
        pass
    logger.warning("%s cannot be read; it is made again.", file)
    return None


@lru_cache(maxsize=1)
def fine_tunings(
    encoder: str, dataset: str, max_length: int, max_eval_samples: int, digest: str, done: Path
) -> FineTunings:
    """Loads and tokenizes a dataset, once for all runs of it that follow each other."""
    data = load_text_classification(dataset, max_eval_samples=max_eval_samples)
    tokenizer, _ = load_encoder(encoder)
    return FineTunings(encoder, data.tokenize(tokenizer, max_length), len(data.label_names), digest, done)


def callback_config(method: Method, setting: Setting, schedule: Schedule, seed: int) -> MIDropoutConfig:
    """What happens after half of the steps; a method that drops nothing has its neurons scored."""
    start = schedule.steps // 2
    if method.pruning is None:
        return MIDropoutConfig(action="none", start=start, seed=seed)
    return MIDropoutConfig(keep=setting.value, start=start, seed=seed, **method.pruning)


def note_record(outcome: Outcome, callback: MIDropoutCallback) -> None:
    """
    Adds what the callback recorded.

    Raises:
        `RuntimeError`: if nothing could be dropped.
    """
    record = callback.record
    assert record is not None and record.after is not None  # training went past the step at which it scores
    if record.refused:
        raise RuntimeError(record.refused)
    before, after = record.before, record.after
    outcome.bits["before"] = outcome.bits["before_unmasked"] = list(before.layer_average().values())
    kept = record.selection.kept if record.selection else None
    if kept is not None:
        outcome.kept = [int(mask.sum()) for mask in kept.values()]
        outcome.bits["before_kept"] = list(before.layer_average(kept).values())
    masks = kept if callback.config.action == "prune" else None
    outcome.bits["end"] = list(after.layer_average().values())
    outcome.bits["end_unmasked"] = list(after.layer_average(masks).values())


class _Curve(TrainerCallback):
    """Looks at validation rows after some steps, before neurons are dropped there."""

    def __init__(self, outcome: Outcome, evaluated: set[int], metrics: Any):
        self.outcome, self.evaluated, self.metrics = outcome, evaluated, metrics

    def on_optimizer_step(self, args, state, control, **kwargs):
        step = state.global_step + 1
        if step in self.evaluated:
            self.outcome.curve.append({"step": step, **self.metrics()})
