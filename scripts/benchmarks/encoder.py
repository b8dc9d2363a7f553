"""
One-shot pruning of the encoder of fine-tuned classifiers: what each criterion loses, all with the same reconstruction.

For each dataset and seed a stock classifier is fine-tuned (once: it is kept in `--work_dir`), measured on rows that it
was not trained on, and pruned to several widths by several criteria, without any training. Compared on test rows:
accuracy, and the bits by which the prediction differs from the dense one's. Stopped and started again, it goes on.

    python scripts/benchmarks/encoder.py --help
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)

from hf_midropout.pruning.comparison.predictions import predict
from hf_midropout.pruning.encoder.one_shot import Budget, measure_encoder, prune_with
from hf_midropout.reporting.building import environment
from hf_midropout.scoring.batches import batches_for
from hf_midropout.training.distillation import Distillation
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
LENGTHS = {"ag_news": 64, "imdb": 128, "yelp": 128}
CRITERIA = (
    "prediction_information", "prediction_variance", "brain_surgeon", "std_times_norm", "mutual_information",
    "joint_information", "mask_fisher", "taylor", "magnitude", "random",
)  # fmt: skip


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="Pretrained encoder.")
    parser.add_argument("--data", type=Path, default=shared / "data", help="Folder with a folder of each dataset.")
    parser.add_argument("--datasets", nargs="+", default=list(LENGTHS), help="Names of folders in it.")
    parser.add_argument("--work_dir", type=Path, default=Path("midropout_output/encoder"), help="Dense classifiers.")
    parser.add_argument("--result", type=Path, default=RESULTS / "encoder.json", help="File to write.")
    parser.add_argument("--criteria", nargs="+", default=list(CRITERIA), help="What ranks neurons.")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.5, 0.25, 0.125, 0.0625], help="Fractions.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="Each fine-tunes and draws rows.")
    parser.add_argument("--train_rows", type=int, default=4096, help="Rows to fine-tune on.")
    parser.add_argument("--epochs", type=float, default=2.0, help="Of fine-tuning.")
    parser.add_argument("--measure_rows", type=int, default=2048, help="Other rows, to measure and reconstruct on.")
    parser.add_argument("--retrain_epochs", type=float, default=0.0, help="Of retraining with distillation, if any.")
    parser.add_argument(
        "--retrain", nargs="+", default=["prediction_information", "magnitude", "random"], help="Criteria to retrain."
    )
    parser.add_argument("--retrain_keep", type=float, nargs="+", default=[0.25], help="Fractions to retrain at.")
    parser.add_argument("--test_rows", type=int, default=2000, help="Test rows to compare on, the same for all.")
    return parser


def rows_of(options: argparse.Namespace, name: str, split: str, seed: int) -> Dataset:
    """A split in a seeded order."""
    return Dataset.from_parquet(str(options.data / name / f"{split}.parquet")).shuffle(seed=seed)


def tokenized(rows: Dataset, tokenizer, length: int) -> Dataset:
    return rows.map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=length), batched=True, remove_columns="text"
    )


def fine_tuned(options: argparse.Namespace, name: str, seed: int) -> Path:
    """The folder of the dense classifier, which is trained if it is not there."""
    folder = options.work_dir / f"{name}-{seed}"
    if (folder / "model.safetensors").exists():
        return folder
    set_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = rows_of(options, name, "train", seed).select(range(options.train_rows))
    model = AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=len(rows.unique("label")), dtype=torch.float32
    )
    data = tokenized(rows, tokenizer, LENGTHS.get(name, 128))
    train(model, data, tokenizer, folder / "training", options.epochs, 1e-4, seed)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def train(model, data: Dataset, tokenizer, folder: Path, epochs: float, learning_rate: float, seed: int) -> None:
    """By the Trainer."""
    arguments = TrainingArguments(
        str(folder), num_train_epochs=epochs, per_device_train_batch_size=32, learning_rate=learning_rate,
        warmup_steps=0.06, report_to=[], save_strategy="no", seed=seed, dataloader_pin_memory=False, disable_tqdm=True,
        bf16=torch.cuda.is_available(),
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=data, data_collator=DataCollatorWithPadding(tokenizer)).train()


def retrained(options: argparse.Namespace, name: str, seed: int, network, dense, tokenizer) -> None:
    """Trains a pruned `network` on the rows of the dense one, half of the loss being the divergence from it."""
    set_seed(seed)
    rows = rows_of(options, name, "train", seed).select(range(options.train_rows))
    distillation = Distillation(copy.deepcopy(dense), weight=0.5, temperature=2.0)
    distillation.attach(network)
    data = tokenized(rows, tokenizer, LENGTHS.get(name, 128))
    train(network, data, tokenizer, options.work_dir / "retraining", options.retrain_epochs, 5e-5, seed)
    distillation.detach()


def measured(options: argparse.Namespace, name: str, seed: int, done: dict[str, Any], save) -> None:
    """Fills `done` with what each criterion gives at each width."""
    wanted = [(criterion, keep) for criterion in options.criteria for keep in options.keep]
    again = [
        (criterion, keep)
        for criterion in options.retrain
        for keep in options.retrain_keep
        if options.retrain_epochs and f"{criterion}/{keep}/retrained" not in done
    ]
    wanted = [each for each in wanted if f"{each[0]}/{each[1]}" not in done or each in again]
    if not wanted:
        return
    folder, length = fine_tuned(options, name, seed), LENGTHS.get(name, 128)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()
    model.to(PartialState().device)
    others = rows_of(options, name, "train", seed).select(
        range(options.train_rows, options.train_rows + options.measure_rows)
    )
    batches = batches_for(model, tokenized(others, tokenizer, length), 32, processing_class=tokenizer)
    test = rows_of(options, name, "test", 0).select(range(options.test_rows))
    test_batches = batches_for(model, tokenized(test, tokenizer, length), 64, processing_class=tokenizer)
    dense = predict(model, test_batches)
    done["dense"] = {"accuracy": dense.metrics()["accuracy"]}
    started = time.perf_counter()
    evidence = measure_encoder(model, batches, seed, options.criteria)
    done["seconds_measuring"] = time.perf_counter() - started
    for keep in options.keep:
        budgets = {criterion: Budget(criterion, keep) for criterion, each in wanted if each == keep}
        if not budgets:
            continue
        networks = {criterion: copy.deepcopy(model) for criterion in budgets}
        results = prune_with(evidence, budgets, networks)
        for criterion, network in networks.items():
            outcome = predict(network, test_batches)
            accuracy, (lost, stderr) = outcome.metrics()["accuracy"], outcome.bits_lost(dense)
            done[f"{criterion}/{keep}"] = {
                "accuracy": accuracy,
                "bits_lost": lost,
                "bits_lost_stderr": stderr,
                "kept": next(iter(results[criterion].selection.widths.values()))[0],
                "seconds": results[criterion].seconds,
            }
            print(f"{name} {seed} {criterion:<24}{keep:<8}{accuracy:.4f} {lost:.4f}", flush=True)
            if (criterion, keep) in again:
                retrained(options, name, seed, network, model, tokenizer)
                outcome = predict(network, test_batches)
                accuracy, (lost, stderr) = outcome.metrics()["accuracy"], outcome.bits_lost(dense)
                done[f"{criterion}/{keep}/retrained"] = {
                    "accuracy": accuracy, "bits_lost": lost, "bits_lost_stderr": stderr,
                }  # fmt: skip
                print(f"{name} {seed} {criterion:<24}{keep:<8}{accuracy:.4f} {lost:.4f} retrained", flush=True)
            save()


def main() -> None:
    options = make_parser().parse_args()
    content: dict[str, Any] = {"runs": {}}
    if options.result.exists():
        content = json.loads(options.result.read_text())
    content["options"] = {
        key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()
    }
    content["options"].pop("work_dir"), content["options"].pop("data"), content["options"].pop("result")
    content["options"]["model"] = Path(options.model).name
    content["environment"] = environment()
    for name in options.datasets:
        for seed in options.seeds:
            done = content["runs"].setdefault(f"{name}/{seed}", {})
            measured(options, name, seed, done, lambda: write_json(options.result, content))
    if torch.cuda.is_available():
        content["peak_gpu_memory_mib"] = round(torch.cuda.max_memory_allocated() / 2**20)
        write_json(options.result, content)
    print_table(options, content["runs"])


def print_table(options: argparse.Namespace, runs: dict[str, Any]) -> None:
    """Mean over datasets and seeds: points of accuracy lost, and bits."""
    print(f"{'':<24}" + "".join(f"{keep:>24}" for keep in options.keep))
    for criterion in options.criteria:
        cells = []
        for keep in options.keep:
            found = [
                (run["dense"], run[f"{criterion}/{keep}"]) for run in runs.values() if f"{criterion}/{keep}" in run
            ]
            points = [100 * (dense["accuracy"] - each["accuracy"]) for dense, each in found]
            bits = [each["bits_lost"] for _, each in found]
            cells.append(f"{statistics.mean(points):+.2f} points, {statistics.mean(bits):.4f} bits" if found else "")
        print(f"{criterion:<24}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
