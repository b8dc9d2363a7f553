"""
Uneven widths against even ones, at the same number of multiplications: `scope="global"` of `hf-midropout prune`.

A classifier that `encoder.py` fine-tuned is measured on rows that it was not trained on, several draws of them, and
pruned both ways without any training. Compared on test rows, row against row: the bits by which the prediction differs
from the dense one's.

    python scripts/benchmarks/encoder_uneven.py --help
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import torch
from encoder import LENGTHS, rows_of, tokenized
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_midropout.pruning.comparison.predictions import predict
from hf_midropout.pruning.encoder.one_shot import Budget, measure_encoder, prune_with
from hf_midropout.reporting.building import environment
from hf_midropout.scoring.batches import batches_for
from hf_midropout.utils.files import write_json


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="Folder with a folder of the dataset.")
    parser.add_argument("--dataset", default="ag_news", help="Its name.")
    parser.add_argument("--work_dir", type=Path, required=True, help="With the dense classifiers of encoder.py.")
    parser.add_argument("--result", type=Path, default=Path(__file__).parent / "results" / "encoder_uneven.json")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.25, 0.125], help="Fractions.")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2], help="Of rows to measure on.")
    parser.add_argument("--train_rows", type=int, default=4096, help="That the classifier was fine-tuned on.")
    parser.add_argument("--measure_rows", type=int, default=1024, help="Others, to measure and reconstruct on.")
    parser.add_argument("--test_rows", type=int, default=1000, help="To compare on.")
    return parser


def main() -> None:
    options = make_parser().parse_args()
    name, length = options.dataset, LENGTHS.get(options.dataset, 128)
    folder = options.work_dir / f"{name}-0"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()

    def batches(rows):
        return batches_for(model, tokenized(rows, tokenizer, length), 32, processing_class=tokenizer)

    test = batches(rows_of(options, name, "test", 0).select(range(options.test_rows)))
    unseen = rows_of(options, name, "train", 0)
    dense, runs = predict(model, test), []
    content = {"dataset": name, "measure_rows": options.measure_rows, "test_rows": options.test_rows, "runs": runs}
    for draw in options.draws:
        first = options.train_rows + draw * options.measure_rows
        rows = batches(unseen.select(range(first, first + options.measure_rows)))
        evidence = measure_encoder(model, rows, draw, ["prediction_information"])
        for keep in options.keep:
            budgets = {scope: Budget("prediction_information", keep, scope=scope) for scope in ("layer", "global")}
            networks = {scope: copy.deepcopy(model) for scope in budgets}
            results = prune_with(evidence, budgets, networks)
            even, uneven = (predict(networks[scope], test) for scope in budgets)
            difference = uneven.less(even, dense)
            runs.append(
                {
                    "draw": draw,
                    "keep": keep,
                    "widths": list(results["global"].selection.counts.values()),
                    "bits_lost": {"even": even.bits_lost(dense), "uneven": uneven.bits_lost(dense)},
                    "uneven_less_even": [difference.bits.value, difference.bits.stderr],
                    "accuracy": {
                        "dense": dense.metrics()["accuracy"],
                        "even": even.metrics()["accuracy"],
                        "uneven": uneven.metrics()["accuracy"],
                    },
                }
            )
            print(runs[-1], flush=True)
            write_json(options.result, content | {"environment": environment()})


if __name__ == "__main__":
    main()
