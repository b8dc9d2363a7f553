"""
Time of the search of the threshold, its encoder pass included, beside one plain evaluation of the same rows.

    python scripts/benchmarks/sweep.py --help
"""

from __future__ import annotations

import argparse
import os
import statistics
from pathlib import Path

import torch
from mutual_information_speed import timed
from transformers import AutoTokenizer

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.information.moments import moments_by_group
from hf_midropout.pruning.head.evidence import CHUNK_ROWS
from hf_midropout.pruning.head.inputs import HeadInputs, collect_head_inputs
from hf_midropout.pruning.head.network import HeadNetwork
from hf_midropout.pruning.head.reconstruction import Reconstruction
from hf_midropout.pruning.head.search import sweep
from hf_midropout.pruning.selection import nested_selections
from hf_midropout.reporting.building import environment
from hf_midropout.scoring.batches import batches_for
from hf_midropout.utils.files import write_json


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="ALBERT checkpoint.")
    parser.add_argument("--dataset", default=str(shared / "data/ag_news"), help="Folder or Hub id of AG News.")
    parser.add_argument("--rows", type=int, default=1024, help="Rows to compare networks on.")
    parser.add_argument("--refit_rows", type=int, default=10_000, help="Rows behind the refits, already encoded.")
    parser.add_argument("--max_length", type=int, default=64, help="Tokens to cut texts to.")
    parser.add_argument("--repetitions", type=int, default=5, help="Counted runs of each.")
    parser.add_argument(
        "--result", type=Path, default=Path(__file__).parent / "results" / "sweep.json", help="File to write."
    )
    options = parser.parse_args()

    data = load_text_classification(options.dataset, max_eval_samples=options.rows)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = data.tokenize(tokenizer, options.max_length, ["test"])["test"]
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification.from_pretrained(
        options.model, num_labels=len(data.label_names), dtype=torch.float32
    ).eval()
    batches = batches_for(model, rows, 64, processing_class=tokenizer)
    importance = {name: torch.rand(layer.mask.numel()).double() for name, layer in model.masked_layers().items()}
    network, training = HeadNetwork(model.classifier), torch.randn(options.refit_rows, model.config.hidden_size)
    levels: dict[str, int] = {}

    def encoded() -> HeadInputs:
        return collect_head_inputs(model, batches, progress=False)

    def search(name: str, scope: str, reconstruction: str | None) -> None:
        selections = nested_selections(importance, scope, limit=64 if reconstruction else None)
        levels[name] = len(selections)
        reconstruction = None
        if reconstruction:
            moments = moments_by_group(network.units(part) for part in training.split(CHUNK_ROWS))
            reconstruction = Reconstruction(network, network.groups, moments, reconstruction)
        sweep(network, encoded(), selections, reconstruction=reconstruction)

    runs = {
        "plain evaluation": lambda: encoded().metrics(model.classifier),
        "every fraction of each layer": lambda: search("every fraction of each layer", "layer", None),
        "every global threshold": lambda: search("every global threshold", "global", None),
        "64 fractions, refitted": lambda: search("64 fractions, refitted", "layer", "least_squares"),
    }
    seconds = timed(runs, options.repetitions)
    plain = seconds["plain evaluation"]
    result = {
        "what": "wall seconds of interleaved runs, medians; ratios to the plain evaluation: medians over rounds",
        "rows": len(rows),
        "levels": levels,
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "search_over_plain_evaluation": {
            name: statistics.median(a / b for a, b in zip(seconds[name], plain, strict=True)) for name in levels
        },
        "repetitions": options.repetitions,
        "environment": environment(),
    }
    write_json(options.result, result)
    print({key: result[key] for key in ("levels", "seconds", "search_over_plain_evaluation")})


if __name__ == "__main__":
    main()
