"""A small whole checkpoint, as `hf-midropout train` leaves it, made in a second: tokenizer, report, figures, card."""

import copy
import os
import sys
from pathlib import Path

import datasets
import torch
from conftest import NUM_LABELS, tiny_config
from transformers import BertConfig, BertForSequenceClassification

from hf_midropout import MIDropoutAlbertForSequenceClassification, MIDropoutConfig, NeuronScores
from hf_midropout.data.datasets import TextClassificationData
from hf_midropout.information import MutualInformation
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.pruning.comparison.predictions import Predictions
from hf_midropout.pruning.encoder.one_shot import EncoderPruning
from hf_midropout.pruning.head.apply import apply_selection
from hf_midropout.pruning.record.encoder_schema import Measured
from hf_midropout.pruning.record.result import PruningResult
from hf_midropout.pruning.record.training import PruningRecord
from hf_midropout.pruning.selection import select
from hf_midropout.reporting.building import environment, model_sizes, tested
from hf_midropout.reporting.drawing import draw_figures
from hf_midropout.reporting.encoder_building import DENSE, build_encoder_report
from hf_midropout.reporting.model_card import write_card
from hf_midropout.reporting.report import Data, Model, Report


TEXTS = ["opens a socket", "reads the file", "starts a thread", "the parser of options", "closes the socket"]
METRICS = {"accuracy": 0.75, "macro_f1": 0.7, "loss": 0.6, "expected_calibration_error": 0.1}


def made_up_scores(widths: list[int], scale: float) -> NeuronScores:
    generator = torch.Generator().manual_seed(0)
    layers = {}
    for index, width in enumerate(widths):
        bits = torch.rand(width, generator=generator, dtype=torch.float64) * scale
        layers[f"classifier.layers.{index}"] = MutualInformation(bits, bits * 0.1, bits * 0, 1.5, 1000)
    return NeuronScores(layers, num_classes=NUM_LABELS)


def made_up_report(masked, compact, record: PruningRecord) -> Report:
    calibration = [
        {"rows": 10, "confidence": 0.5, "accuracy": 0.6}, {"rows": 30, "confidence": 0.9, "accuracy": 0.8},
    ]  # fmt: skip
    return Report.of(
        record,
        model=Model(
            base_model="albert/albert-base-v2", base_model_source="hub", largest_logit_difference=0.0,
            **model_sizes(masked, compact, record),
        ),
        data=Data(
            name="fancyzhx/ag_news", source="hub", labels=["a", "b", "c"], rows={"train": 1000, "test": 40},
        ),
        test=tested("test", 40, METRICS, calibration),
        training_arguments={"num_train_epochs": 2.0, "seed": 42, "training_options": []},
        training_log=[{"step": step, "loss": 10 / step, "eval_loss": 12 / step} for step in range(10, 101, 10)],
        seconds={"total": 1.0},
        environment=environment(),
    )  # fmt: skip


def save_checkpoint(
    folder: Path, max_shard_size: str = "1GB", sweep: dict | None = None, baselines: dict | None = None
) -> Path:
    """Saves it in `folder`; the same every time."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS * 4, vocab_size=60)
    masked = MIDropoutAlbertForSequenceClassification(
        tiny_config(vocab_size=max(60, len(tokenizer)), max_position_embeddings=64)
    ).eval()
    widths = masked.config.head_widths
    config = MIDropoutConfig(keep=0.5)
    before = made_up_scores(widths, 1.0)
    bits = {name: layer.bits for name, layer in before.layers.items()}
    done = PruningResult(
        50, before, select(bits, keep=0.5), sweep=sweep, baselines=baselines,
        validation={"rows": 40, "before_pruning": METRICS, "after_pruning": METRICS},
        seconds={"scoring": 0.1, "total": 0.2},
    )  # fmt: skip
    after = made_up_scores(widths, 1.4)
    record = PruningRecord(
        config.recorded(), max_steps=100, pruning_steps=[done], after=after, after_retraining=METRICS
    )
    apply_selection(masked, done.selection)
    compact = masked.compact()
    compact.save_pretrained(folder, max_shard_size=max_shard_size)
    tokenizer.save_pretrained(folder)
    report = made_up_report(masked, compact, record)
    report.save(folder)
    draw_figures(report, folder / "figures")
    return folder


def made_up_encoder_report(rows: int = 400, controls: bool = True) -> Report:
    """
    Of two layers of 64 neurons, of which half were kept. The dense network is right in 80% of the rows, the others
    make their errors and so many more: 0, 1, 50 and 200 of 400.
    """
    generator = torch.Generator().manual_seed(0)
    names = [f"encoder.layer.{number}.ffn" for number in range(2)]
    importance = {name: torch.rand(64, generator=generator, dtype=torch.float64) ** 4 for name in names}
    labels = torch.arange(rows) % NUM_LABELS
    logits = torch.nn.functional.one_hot(labels, NUM_LABELS) * 4.0 + torch.rand(rows, NUM_LABELS, generator=generator)

    def wrong_in(share: float) -> Predictions:
        these = torch.arange(rows) < round(share * rows)
        return Predictions(torch.where(these[:, None], logits.roll(1, 1), logits), labels)

    predictions = {DENSE: wrong_in(0.2), "prediction_information": wrong_in(0.2)}
    if controls:
        predictions |= {"std_times_norm": wrong_in(0.2025), "magnitude": wrong_in(0.325), "random": wrong_in(0.7)}
    pruning = EncoderPruning(importance, select(importance, keep=0.5), {names[0]: 0.02, names[1]: 0.11})
    texts = datasets.Dataset.from_dict({"text": TEXTS, "label": [0, 1, 2, 0, 1]})
    data = TextClassificationData("fancyzhx/ag_news", datasets.DatasetDict(train=texts), ["a", "b", "c"], [], "hub")
    sizes = {"parameters_before": 22_900_000, "parameters_after": 17_500_000}
    model = Model(
        base_model="someone/bert", base_model_source="hub", bytes_before=91_600_000, bytes_after=70_000_000, **sizes
    )
    return build_encoder_report(
        model, data, "prediction_information", pruning, predictions, Measured("train", 2048), "test",
        {"measuring": 1.0, "total": 2.0}, "hf-midropout prune someone/bert --output_dir small",
    )  # fmt: skip


def save_pruned(folder: Path, **options) -> Path:
    """Saves what `hf-midropout prune` leaves, a stock classifier with a made-up report, in `folder`."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(TEXTS * 4, vocab_size=60)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=64, id2label=dict(enumerate("abc")),
        label2id={name: number for number, name in enumerate("abc")}, **sizes,
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    report = made_up_encoder_report(**options)
    report.save(folder)
    draw_figures(report, folder / "figures")
    write_card(folder, name="small")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of `folder`."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def client_environment(hub, home: Path, **options) -> dict[str, str]:
    """The environment of a process whose Hub is `hub`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "HUGGING"))}
    return {**kept, **hub.environment(home, **options), "PYTHONPATH": os.pathsep.join(sys.path)}


def changed(report: dict, **parts) -> dict:
    """A copy of `report` with other parts."""
    return {**copy.deepcopy(report), **parts}
