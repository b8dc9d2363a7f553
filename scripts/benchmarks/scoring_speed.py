"""
Time of `score_neurons` beside that of the same forward passes without scoring, medians of interleaved runs.

Where the machine's speed changes from run to run by more than scoring costs, look at the second ratio: time over that
of the forward passes within the same run, beside the same for the run without scoring.

    python scripts/benchmarks/scoring_speed.py --help
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch
from mutual_information_speed import timed
from transformers import AutoTokenizer

from hf_midropout import MIDropoutAlbertForSequenceClassification, score_neurons
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.groups import find_groups
from hf_midropout.reporting.building import environment
from hf_midropout.scoring.batches import batches_for
from hf_midropout.scoring.inference import frozen_inference
from hf_midropout.scoring.passes import forward_passes as run_over
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
TARGETS = {"head": "head", "feed-forward layers": "encoder"}


def total_over_model(model: torch.nn.Module, run: Callable[[], None]) -> float:
    """Seconds of `run` over those that it spends in forward passes of `model`."""
    begun = inside = 0.0

    def begin(*_) -> None:
        nonlocal begun
        begun = time.perf_counter()

    def end(*_) -> None:
        nonlocal inside
        inside += time.perf_counter() - begun

    handles = [model.register_forward_pre_hook(begin), model.register_forward_hook(end)]
    started = time.perf_counter()
    run()
    total = time.perf_counter() - started
    for handle in handles:
        handle.remove()
    return total / inside


def over_forward_passes(values: dict[str, list[float]]) -> dict[str, float]:
    """Each scored run over the forward passes of its own round: what else the machine does changes between rounds."""
    return {
        name: statistics.median(
            scored / plain for scored, plain in zip(values[name], values["forward passes"], strict=True)
        )
        for name in TARGETS
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="ALBERT checkpoint.")
    parser.add_argument("--dataset", default=str(shared / "data/ag_news"), help="Folder or Hub id of AG News.")
    parser.add_argument("--rows", type=int, default=10_000, help="Training rows to score with.")
    parser.add_argument("--batch_size", type=int, default=32, help="Rows per batch.")
    parser.add_argument("--max_length", type=int, default=64, help="Tokens to cut texts to.")
    parser.add_argument("--repetitions", type=int, default=5, help="Counted runs of each.")
    parser.add_argument("--note", default="", help="What else to know about the run, for the file.")
    parser.add_argument("--result", type=Path, default=RESULTS / "scoring_speed.json", help="File.")
    options = parser.parse_args()

    data = load_text_classification(options.dataset, max_train_samples=options.rows)
    tokenizer = AutoTokenizer.from_pretrained(options.model)
    rows = data.tokenize(tokenizer, options.max_length, ["train"])["train"]
    torch.manual_seed(0)
    model = MIDropoutAlbertForSequenceClassification.from_pretrained(
        options.model, num_labels=len(data.label_names), dtype=torch.float32
    )

    def forward_passes() -> None:
        batches = batches_for(model, rows, options.batch_size, processing_class=tokenizer, seed=0)
        with frozen_inference(model):
            for _ in run_over(model, batches):
                pass

    def score(targets: str) -> None:
        score_neurons(
            model, rows, targets=targets, processing_class=tokenizer, batch_size=options.batch_size, progress=False
        )

    runs = {"forward passes": forward_passes} | {
        name: lambda targets=targets: score(targets) for name, targets in TARGETS.items()
    }
    over_model: dict[str, list[float]] = {name: [] for name in runs}
    all_seconds = timed(
        {name: lambda name=name: over_model[name].append(total_over_model(model, runs[name])) for name in runs},
        options.repetitions,
    )
    seconds = {name: statistics.median(values) for name, values in all_seconds.items()}
    counted = {name: values[1:] for name, values in over_model.items()}
    neurons = {}
    for name, targets in TARGETS.items():
        scores = score_neurons(
            model, rows, targets=targets, processing_class=tokenizer, max_samples=64, progress=False
        )
        neurons[name] = sum(len(layer.bits) for layer in scores.layers.values())
        assert list(scores.layers) == list(find_groups(model, targets))
    result = {
        "what": "Median wall seconds of interleaved runs: the same forward passes without and with scoring; ratios: "
        "medians over the rounds. Of the same run: seconds over those inside the model, over the same without scoring",
        "note": options.note,
        "rows": len(rows),
        "batch_size": options.batch_size,
        "max_length": options.max_length,
        "neurons": neurons,
        "seconds": seconds,
        "scoring_over_forward_passes": over_forward_passes(all_seconds),
        "scoring_over_forward_passes_of_the_same_run": over_forward_passes(counted),
        "repetitions": options.repetitions,
        "environment": {**environment(), "numpy": version("numpy")},
    }
    write_json(options.result, result)
    print({key: value for key, value in result.items() if key in ("rows", "neurons", "seconds") or "over" in key})


if __name__ == "__main__":
    main()
