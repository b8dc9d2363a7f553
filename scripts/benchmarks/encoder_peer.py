"""
One-shot pruning of a fine-tuned classifier's feed-forward neurons beside Torch-Pruning, with the same rows and widths.

The same checkpoint, rows and number of neurons for all; no training. Torch-Pruning (`pip install torch-pruning`)
removes neurons and leaves the others' weights as they are; ours refits them. `# peer` marks the lines of a user's code
that it takes with Torch-Pruning, `# ours` those with this package, from a model and tokenized rows on.

    python scripts/benchmarks/encoder_peer.py --checkpoint fine-tuned --data folder-with-parquet-files
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import torch_pruning as tp
from datasets import Dataset
from torch import nn
from torch.utils.data import DataLoader
from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

from hf_midropout.groups import find_groups, linear_of
from hf_midropout.pruning.comparison.predictions import Predictions, predict
from hf_midropout.pruning.encoder.one_shot import Budget, measure_encoder, prune_with
from hf_midropout.pruning.encoder.width_allocation import width_for
from hf_midropout.reporting.building import environment
from hf_midropout.scoring.batches import Batches, batches_for
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
# Loads a checkpoint where this package cannot be imported, and prints the logits for one row.
LOAD = """
import sys; sys.modules["hf_midropout"] = None
import torch
from transformers import AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1], dtype=torch.float32).eval()
with torch.no_grad():
    print(*model(torch.arange(5, 21)[None]).logits[0].tolist())
"""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="Fine-tuned classifier, a folder or a Hub id.")
    parser.add_argument("--data", type=Path, required=True, help="Folder with train.parquet and test.parquet.")
    parser.add_argument("--first_row", type=int, default=4096, help="Of the shuffled training rows, the first to use.")
    parser.add_argument("--rows", type=int, default=2048, help="Rows to measure and reconstruct on.")
    parser.add_argument("--test_rows", type=int, default=2000, help="Test rows to compare on.")
    parser.add_argument("--max_length", type=int, default=64, help="Tokens to cut texts to.")
    parser.add_argument("--batch_size", type=int, default=32, help="Rows per batch.")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.5, 0.25], help="Fractions of the neurons.")
    parser.add_argument(
        "--criteria", nargs="+", default=["prediction_information", "taylor", "magnitude"], help="Ours."
    )
    parser.add_argument("--seed", type=int, default=0, help="Of the order of rows.")
    parser.add_argument("--result", type=Path, default=RESULTS / "encoder_peer.json", help="File to write.")
    return parser


def rows_of(options: argparse.Namespace, split: str, first: int, count: int, tokenizer) -> Dataset:
    """Tokenized rows of a split, in a seeded order."""
    rows = Dataset.from_parquet(str(options.data / f"{split}.parquet")).shuffle(seed=options.seed)
    rows = rows.select(range(first, min(first + count, len(rows))))
    return rows.map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=options.max_length),
        batched=True,
        remove_columns=[name for name in rows.column_names if name != "label"],
    )


def prune_with_peer(model: nn.Module, rows: Dataset, collate, batch_size: int, keep: float, criterion: str) -> None:
    """Prunes `model`, in place, with Torch-Pruning: the neurons of each feed-forward layer, and nothing else."""
    importance = {"magnitude": tp.importance.GroupMagnitudeImportance,  # peer
                  "taylor": tp.importance.GroupTaylorImportance}[criterion]()  # fmt: skip # peer
    groups = find_groups(model, "encoder").values()  # where they are, which a user has to look up
    producers = [linear_of(model, rows.module) for group in groups for rows in group.producers]  # peer
    others = [each for each in model.modules() if isinstance(each, nn.Linear) and each not in producers]  # peer
    pruner = tp.pruner.BasePruner(  # peer
        model, {"input_ids": torch.arange(5, 21)[None]}, importance=importance, round_to=32,  # peer
        pruning_ratio_dict=dict.fromkeys(producers, 1 - keep), pruning_ratio=0.0,  # peer
        ignored_layers=others, output_transform=lambda output: output.logits.sum(),  # peer
    )  # fmt: skip # peer
    if criterion == "taylor":  # peer
        model.zero_grad()  # peer
        for batch in DataLoader(rows, batch_size, collate_fn=collate):  # peer
            model(**batch).loss.backward()  # peer
    pruner.step()  # peer
    setattr(model.config, next(iter(groups)).config_width, producers[0].out_features)  # peer


def widths_of(model: nn.Module) -> list[int]:
    return [linear_of(model, group.consumer).in_features for group in find_groups(model, "encoder").values()]


def loads(model: nn.Module) -> bool | str:
    """Whether stock classes load what `model` saves, and give the same logits; or the error."""
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        model.save_pretrained(folder)
        run = subprocess.run([sys.executable, "-c", LOAD, folder], capture_output=True, text=True)
        if run.returncode:
            return run.stderr.strip().splitlines()[-1]
        logits = torch.tensor([float(each) for each in run.stdout.split()])
        return torch.allclose(logits, model(torch.arange(5, 21)[None]).logits[0], atol=1e-5)


def told(model: nn.Module, dense: Predictions, test: Batches, seconds: float) -> dict[str, Any]:
    """What is told of a pruned model."""
    predictions = predict(model.eval(), test)
    bits, difference = predictions.bits_lost(dense), predictions.less(dense, dense).accuracy
    return {
        "accuracy": predictions.metrics()["accuracy"],
        "to_dense": difference.value,
        "to_dense_stderr": difference.stderr,
        "bits_lost": bits[0],
        "bits_lost_stderr": bits[1],
        "widths": sorted(set(widths_of(model))),
        "seconds": seconds,
        "loads_with_from_pretrained": loads(model),
    }


def lines_of_code() -> dict[str, int]:
    """Lines of this file that a user of each would write."""
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return {name: sum(line.endswith(f"# {name}") for line in lines) for name in ("peer", "ours")}


def main() -> None:
    options = make_parser().parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(options.checkpoint, dtype=torch.float32).eval()
    train = rows_of(options, "train", options.first_row, options.rows, tokenizer)
    test = rows_of(options, "test", 0, options.test_rows, tokenizer)
    batches = batches_for(model, train, options.batch_size, processing_class=tokenizer)  # ours
    test_batches = batches_for(model, test, options.batch_size, processing_class=tokenizer)
    collate = DataCollatorWithPadding(tokenizer)  # peer
    dense = predict(model, test_batches)
    units = widths_of(model)[0]
    results: dict[str, Any] = {}

    def save() -> None:
        write_json(
            options.result,
            {
                "what": "one-shot pruning without training; bits_lost: KL to the dense prediction; seconds: of one "
                "criterion at one width by itself, from the model to the pruned one, of the processor, all threads",
                "class": type(model).__name__,
                "rows": len(train),
                "test_rows": len(test),
                "max_length": options.max_length,
                "dense": {"accuracy": dense.metrics()["accuracy"]},
                "results": results,
                "lines_of_user_code": lines_of_code(),
                "environment": {**environment(), "torch-pruning": version("torch-pruning")},
            },
        )

    def add(name: str, network: nn.Module, seconds: float) -> None:
        results[name] = told(network, dense, test_batches, seconds)
        save()
        each = results[name]
        print(f"{name:<46}{each['accuracy']:.4f}{each['bits_lost']:>9.4f} bits{each['seconds']:>8.1f} s  "
              f"{each['widths']} loads: {each['loads_with_from_pretrained']}", flush=True)  # fmt: skip

    for keep in options.keep:
        width = width_for(keep, units)
        for criterion in ("magnitude", "taylor"):
            network, started = copy.deepcopy(model), time.process_time()
            prune_with_peer(network, train, collate, options.batch_size, width / units, criterion)
            add(f"torch-pruning {criterion}/{keep:g}", network, time.process_time() - started)
        for criterion in options.criteria:
            network, started = copy.deepcopy(model), time.process_time()
            evidence = measure_encoder(model, batches, options.seed, [criterion])  # ours
            prune_with(evidence, {"": Budget(criterion, keep)}, {"": network})  # ours
            add(f"ours {criterion}/{keep:g}", network, time.process_time() - started)
            network = copy.deepcopy(model)
            prune_with(evidence, {"": Budget(criterion, keep)}, {"": network}, reconstruct=False)
            add(f"ours {criterion}, not refitted/{keep:g}", network, 0.0)


if __name__ == "__main__":
    main()
