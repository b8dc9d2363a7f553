"""
Time of the mutual information estimates beside scikit-learn's, medians of interleaved runs in one process.

    python scripts/benchmarks/mutual_information_speed.py --help
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.feature_selection import mutual_info_classif

from hf_midropout.information import NeuronStatistics, mutual_information
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
SCALED = {"samples": 10_000, "neurons": 256, "classes": 4}
SIZES = {
    "samples": [5000, 10_000, 20_000, 40_000, 80_000],
    "neurons": [64, 128, 256, 512, 1024],
    "classes": [2, 4, 8, 16, 32],
}
CASES = {"10,000 x 768, 4 classes": (10_000, 768, 4), "60,000 x 256, 10 classes": (60_000, 256, 10)}


def draw(
    samples: int, neurons: int, classes: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian activations, half of them behind a ReLU, each shifted a little by the label; made where they stay."""
    generator = torch.Generator(device).manual_seed(0)
    labels = torch.randint(0, classes, (samples,), generator=generator, device=device)
    shift = torch.rand(neurons, generator=generator, device=device) * 0.5
    activations = torch.empty(samples, neurons, dtype=dtype, device=device)
    for rows, of_rows in zip(activations.split(2**14), labels.split(2**14), strict=True):
        values = torch.randn(rows.shape, generator=generator, device=device) + of_rows[:, None] * shift
        values[:, ::2] = values[:, ::2].relu()
        rows.copy_(values)
    return activations, labels


def stream(activations, labels, classes: int, batch_size: int) -> NeuronStatistics:
    counted = NeuronStatistics(activations.shape[1], classes)
    for rows, row_labels in zip(activations.split(batch_size), labels.split(batch_size), strict=True):
        counted.update(rows, row_labels)
    counted.mutual_information()
    return counted


def timed(runs: dict[str, Callable[[], object]], repetitions: int) -> dict[str, list[float]]:
    """Seconds of each, in turn, `repetitions` times, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(repetitions + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Slope of log seconds over log sizes, by least squares."""
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def compare(samples: int, neurons: int, classes: int, options: argparse.Namespace) -> dict:
    """One problem, all ways."""
    activations, labels = draw(samples, neurons, classes)
    peer_neurons = min(options.peer_neurons or neurons, neurons)
    peer = activations[:, :peer_neurons].numpy()
    copy = torch.empty_like(activations)
    all_seconds = timed(
        {
            "in memory": lambda: mutual_information(activations, labels, num_classes=classes),
            "stream, batches of 1,024": lambda: stream(activations, labels, classes, 1024),
            "stream, batches of 8": lambda: stream(activations, labels, classes, 8),
            "scikit-learn, all cores": lambda: mutual_info_classif(
                peer, labels.numpy(), discrete_features=False, n_jobs=-1, random_state=0
            ),
            "copy": lambda: copy.copy_(activations),
        },
        options.repetitions,
    )
    seconds = {name: statistics.median(values) for name, values in all_seconds.items()}
    seconds["scikit-learn, all cores"] *= neurons / peer_neurons
    floor = seconds.pop("copy") / 2  # a copy reads and writes
    counted = stream(activations, labels, classes, 1024)
    state = counted.counts.nbytes + counted.edges.nbytes
    return {
        "seconds": seconds,
        "fastest_seconds": {name: min(values) for name, values in all_seconds.items() if name in seconds},
        "one_read_seconds": floor,
        "peer_neurons": peer_neurons,
        "scikit_learn_over_in_memory": seconds["scikit-learn, all cores"] / seconds["in memory"],
        "scikit_learn_over_stream": seconds["scikit-learn, all cores"] / seconds["stream, batches of 1,024"],
        "in_memory_over_one_read": seconds["in memory"] / floor,
        "batches_of_8_over_1024": seconds["stream, batches of 8"] / seconds["stream, batches of 1,024"],
        "stream_over_in_memory": seconds["stream, batches of 1,024"] / seconds["in memory"],
        "stream_rows_per_second": samples / seconds["stream, batches of 1,024"],
        "state_bytes_per_neuron_and_class": state / neurons / classes,
    }


def scaling(repetitions: int) -> dict:
    """Seconds against samples, neurons and classes, one at a time, and the exponents fitted to them."""
    problems = {
        (dimension, size): draw(**{**SCALED, dimension: size}) for dimension, sizes in SIZES.items() for size in sizes
    }
    results = {}
    for way, run in {
        "in memory": lambda a, y, c: mutual_information(a, y, num_classes=c),
        "stream, batches of 1,024": lambda a, y, c: stream(a, y, c, 1024),
    }.items():
        seconds = timed(
            {
                key: lambda key=key, run=run: run(*problems[key], key[1] if key[0] == "classes" else SCALED["classes"])
                for key in problems
            },
            repetitions,
        )
        for dimension, sizes in SIZES.items():
            medians = [statistics.median(seconds[dimension, size]) for size in sizes]
            results[f"{way}, {dimension}"] = {
                "sizes": sizes,
                "seconds": medians,
                "exponent": exponent(sizes, medians),
            }
    return results


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=5, help="Counted runs of each.")
    parser.add_argument("--peer_neurons", type=int, default=None, help="Neurons that scikit-learn gets. None: all.")
    parser.add_argument("--note", default="", help="What else to know about the run, for the file.")
    parser.add_argument("--result", type=Path, default=RESULTS / "mutual_information_speed.json", help="File.")
    options = parser.parse_args()

    results = {}
    for name, (samples, neurons, classes) in CASES.items():
        results[name] = compare(samples, neurons, classes, options)
        print(name, json.dumps(results[name], indent=2), flush=True)
    scales = scaling(options.repetitions)
    for name, result in scales.items():
        print(f"{name}: exponent {result['exponent']:.2f}", flush=True)
    write_json(
        options.result,
        {
            "what": "Median wall seconds of interleaved runs; one_read_seconds: half the time of a copy of the "
            "activations; exponents: of seconds against one size, the others fixed",
            "note": options.note,
            "repetitions": options.repetitions,
            "environment": {**environment(), "scikit-learn": version("scikit-learn"), "numpy": np.__version__},
            "results": results,
            "scaling": {"fixed": SCALED, **scales},
        },
    )


if __name__ == "__main__":
    main()
