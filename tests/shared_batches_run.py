"""Run in processes by test_shared_batches.py; each writes what it has seen to FOLDER/N_RANK.json."""

import json
from pathlib import Path

import datasets
import torch
from accelerate import PartialState
from conftest import make_rows, tiny_config
from torch.utils.data import DataLoader
from transformers import default_data_collator

from hf_midropout import MIDropoutAlbertForSequenceClassification, score_neurons
from hf_midropout.scoring.batches import FixedBatches, LoaderBatches, StreamedBatches
from hf_midropout.scoring.shared_batches import shared_batches


def fixed(rows, batch_size: int = 4, **options) -> FixedBatches:
    return FixedBatches(rows, batch_size, default_data_collator, **options)


def streamed(rows) -> StreamedBatches:
    return StreamedBatches(rows.to_iterable_dataset(), 4, default_data_collator)


def loaded(rows) -> LoaderBatches:
    return LoaderBatches(DataLoader(rows.with_format("torch"), 4))


def swapped(rows: datasets.Dataset) -> datasets.Dataset:
    """The first two rows of different labels in each other's place."""
    labels = rows["labels"][:]
    other = next(index for index, label in enumerate(labels) if label != labels[0])
    return rows.select([other, *range(1, other), 0, *range(other + 1, len(labels))])


def relabelled(rows: datasets.Dataset, row: int) -> datasets.Dataset:
    labels = rows["labels"][:]
    labels[row] = (labels[row] + 1) % 3
    return rows.remove_columns("labels").add_column("labels", labels)


def of_lists(rows: datasets.Dataset, last: int) -> datasets.Dataset:
    """With labels of different lengths, which an array holds as objects."""
    lists = [[label] * (1 + index % 2) for index, label in enumerate(rows["labels"][:-1])] + [[last]]
    return rows.remove_columns("labels").add_column("labels", lists)


def ones(items: list) -> dict:
    ids = torch.tensor([item["input_ids"] for item in items])
    return {"input_ids": ids, "labels": torch.tensor([item["labels"][0] for item in items])}


def error_of(batches) -> str | None:
    try:
        for _ in shared_batches(batches, "single_label_classification"):
            pass
    except ValueError as error:
        return str(error)
    return None


def scored(batches) -> list[str]:
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification(tiny_config()).eval()
    scores = score_neurons(model, batches, progress=False, calibration_rows=32)
    return [value.hex() for layer in scores.layers.values() for part in layer[:3] for value in part.tolist()]


def see(folder: Path) -> None:
    process = PartialState(cpu=True)
    rank = process.process_index
    rows, many = make_rows(40, seed=2), make_rows(300, seed=3)
    repeated = datasets.concatenate_datasets([rows, make_rows(60, seed=5), rows, rows]).shuffle(seed=1)
    results = {
        "scores": {
            "rows": scored(fixed(repeated, seed=0)),
            "stream": scored(streamed(repeated)),
            "loader": scored(loaded(repeated)),
            "objects": scored(FixedBatches(of_lists(repeated, 1), 4, ones)),
        }
    }
    if process.num_processes > 1:
        results["errors"] = {
            "length": error_of(fixed(rows.select(range(40 - rank)))),
            "order": error_of(fixed(swapped(rows) if rank else rows)),
            "labels": error_of(fixed(relabelled(rows, 39) if rank else rows)),
            "labels of lists": error_of(FixedBatches(of_lists(rows, rank), 4, ones)),
            "seed": error_of(fixed(rows, seed=rank)),
            "max_samples": error_of(fixed(rows, max_samples=20 + 10 * rank)),
            "batch size": error_of(fixed(rows, 4 + rank)),
            "torch dataset": error_of(fixed(list(relabelled(rows, 0) if rank else rows))),
            "stream, length": error_of(streamed(rows.select(range(40 - rank)))),
            "stream, many fewer": error_of(streamed(many.select(range(300 - 280 * rank)))),
            "stream, labels": error_of(streamed(relabelled(many, 299) if rank else many)),
            "loader, labels": error_of(loaded(relabelled(many, 299) if rank else many)),
        }
    (folder / f"{process.num_processes}_{rank}.json").write_text(json.dumps(results))
    process.destroy_process_group()
