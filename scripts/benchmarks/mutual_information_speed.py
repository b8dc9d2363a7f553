"""
Time of the mutual information estimates beside scikit-learn's, medians of interleaved runs in one process.

    python scripts/benchmarks/mutual_information_speed.py --help
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from sklearn.feature_selection import mutual_info_classif

from hf_midropout.files import write_json
from hf_midropout.information import NeuronStatistics, mutual_information
from hf_midropout.report import environment


RESULTS = Path(__file__).parent / "results"
CASES = {"10,000 x 768, 4 classes": (10_000, 768, 4), "60,000 x 256, 10 classes": (60_000, 256, 10)}


def draw(samples: int, neurons: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Gaussian activations, half of them behind a ReLU, each shifted a little by the label."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(0, classes, (samples,), generator=generator)
    shift = torch.rand(neurons, generator=generator) * 0.5
    activations = torch.randn(samples, neurons, generator=generator) + labels[:, None] * shift
    activations[:, ::2] = activations[:, ::2].relu()
    return activations, labels


def stream(activations, labels, classes: int, batch_size: int) -> NeuronStatistics:
    counted = NeuronStatistics(activations.shape[1], classes)
    for rows, row_labels in zip(activations.split(batch_size), labels.split(batch_size), strict=True):
        counted.update(rows, row_labels)
    counted.mutual_information()
    return counted


def median_seconds(runs: dict[str, object], repetitions: int) -> dict[str, float]:
    """Each in turn, `repetitions` times, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(repetitions + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if round_number:
                seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=3, help="Counted runs of each.")
    parser.add_argument("--peer_neurons", type=int, default=None, help="Neurons that scikit-learn gets. None: all.")
    parser.add_argument("--result", type=Path, default=RESULTS / "mutual_information_speed.json", help="File.")
    options = parser.parse_args()

    results = {}
    for name, (samples, neurons, classes) in CASES.items():
        activations, labels = draw(samples, neurons, classes)
        peer_neurons = min(options.peer_neurons or neurons, neurons)
        peer = activations[:, :peer_neurons].numpy()
        copy = torch.empty_like(activations)
        seconds = median_seconds(
            {
                "in memory": lambda a=activations, y=labels, c=classes: mutual_information(a, y, num_classes=c),
                "stream, batches of 1,024": lambda a=activations, y=labels, c=classes: stream(a, y, c, 1024),
                "stream, batches of 8": lambda a=activations, y=labels, c=classes: stream(a, y, c, 8),
                "scikit-learn, all cores": lambda x=peer, y=labels: mutual_info_classif(
                    x, y.numpy(), discrete_features=False, n_jobs=-1, random_state=0
                ),
                "copy": lambda a=activations, b=copy: b.copy_(a),
            },
            options.repetitions,
        )
        seconds["scikit-learn, all cores"] *= neurons / peer_neurons
        floor = seconds.pop("copy") / 2  # a copy reads and writes
        counted = stream(activations, labels, classes, 1024)
        state = counted.counts.nbytes + counted.edges.nbytes
        results[name] = {
            "seconds": seconds,
            "peer_neurons": peer_neurons,
            "scikit_learn_over_in_memory": seconds["scikit-learn, all cores"] / seconds["in memory"],
            "in_memory_over_one_read": seconds["in memory"] / floor,
            "batches_of_8_over_1024": seconds["stream, batches of 8"] / seconds["stream, batches of 1,024"],
            "stream_rows_per_second": samples / seconds["stream, batches of 1,024"],
            "state_bytes_per_neuron_and_class": state / neurons / classes,
        }
        print(name, results[name], flush=True)
    write_json(
        options.result,
        {
            "what": "Median wall seconds of interleaved runs",
            "repetitions": options.repetitions,
            "environment": environment(),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
