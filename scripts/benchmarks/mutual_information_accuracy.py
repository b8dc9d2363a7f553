"""
Accuracy of the mutual information estimates against laws whose value is known, beside scikit-learn's.

    python scripts/benchmarks/mutual_information_accuracy.py --help
"""

from __future__ import annotations

import argparse
import math
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from laws import laws
from sklearn.feature_selection import mutual_info_classif

from hf_midropout.information import NeuronStatistics, mutual_information
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"


def in_memory(activations, labels, classes):
    return mutual_information(activations, labels, num_classes=classes)


def streamed(activations, labels, classes):
    statistics = NeuronStatistics(activations.shape[1], classes)
    for rows in torch.arange(len(labels)).split(1024):
        statistics.update(activations[rows], labels[rows])
    result = statistics.mutual_information()
    return result.bits, result.stderr


def scikit_learn(activations, labels, classes):
    nats = mutual_info_classif(activations.numpy(), labels.numpy(), discrete_features=False, random_state=0)
    return torch.tensor(nats / math.log(2)), None


LABEL_DRAWS = 50
"""Neurons that share their labels share an error, that in the shares of the classes."""
ESTIMATORS = {"in memory": in_memory, "stream": streamed, "scikit-learn": scikit_learn}


def measure(law, samples: int, repetitions: int, seed: int) -> dict[str, dict[str, float]]:
    """RMSE, bias and coverage of every estimator on the same draws."""
    rng = np.random.default_rng([seed, samples, sum(map(ord, law.name))])
    errors: dict[str, list] = {name: [] for name in ESTIMATORS}
    covered: dict[str, list] = {name: [] for name in ESTIMATORS}
    seconds = dict.fromkeys(ESTIMATORS, 0.0)
    for neurons in torch.arange(repetitions).tensor_split(min(LABEL_DRAWS, repetitions)):
        values, classes = law.sample(samples, len(neurons), rng)
        if len(np.unique(classes)) < 2:
            classes[0] = (classes[0] + 1) % len(law.weights)
        activations, labels = torch.from_numpy(values), torch.from_numpy(classes)
        for name, estimator in ESTIMATORS.items():
            started = time.perf_counter()
            bits, stderr = estimator(activations, labels, len(law.weights))
            seconds[name] += time.perf_counter() - started
            errors[name].append(bits.numpy() - law.bits)
            if stderr is not None:
                covered[name].append(np.abs(errors[name][-1]) <= 1.96 * stderr.numpy())
    row = {}
    for name in ESTIMATORS:
        error = np.concatenate(errors[name])
        row[name] = {"rmse": float(np.sqrt((error**2).mean())), "bias": float(error.mean()), "seconds": seconds[name]}
        if covered[name]:
            row[name]["coverage"] = float(np.concatenate(covered[name]).mean())
    return row


def summarize(rows: list[dict], samples: int) -> dict[str, dict[str, float]]:
    """Means over the laws at one number of samples."""
    rows = [row for row in rows if row["samples"] == samples]
    signal, noise = [r for r in rows if not r["noise"]], [r for r in rows if r["noise"]]
    # A floor of 0 (a label that the activation tells without doubt) cannot be divided by.
    with_floor = [row for row in signal if row["floor"] > 1e-5]
    summary = {}
    for name in ESTIMATORS:
        summary[name] = {
            "mean_rmse": float(np.mean([row[name]["rmse"] for row in signal])),
            "geometric_mean_over_floor": float(
                np.exp(np.mean([math.log(row[name]["rmse"] / row["floor"]) for row in with_floor]))
            ),
            "rmse_on_noise": float(np.sqrt(np.mean([row[name]["rmse"] ** 2 for row in noise]))),
        }
        if "coverage" in signal[0][name]:
            coverage = [row[name]["coverage"] for row in signal]
            summary[name] |= {"coverage": float(np.mean(coverage)), "lowest_coverage": min(coverage)}
    for name in ("in memory", "stream"):
        summary[name]["mean_rmse_over_scikit_learn"] = (
            summary[name]["mean_rmse"] / summary["scikit-learn"]["mean_rmse"]
        )
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument(
        "--samples", type=int, nargs="+", default=[500, 2000, 10_000, 100_000], help="Samples per draw."
    )
    parser.add_argument(
        "--repetitions", type=int, nargs="+", default=[100, 100, 100, 10], help="Draws of each law, per --samples."
    )
    parser.add_argument("--seed", type=int, default=0, help="Seed of the draws.")
    parser.add_argument("--result", type=Path, default=RESULTS / "mutual_information_accuracy.json", help="File.")
    options = parser.parse_args()

    rows = []
    for samples, repetitions in zip(options.samples, options.repetitions, strict=True):
        for law in laws():
            floor = law.spread / math.sqrt(samples)
            row = {"law": law.name, "samples": samples, "repetitions": repetitions, "bits": law.bits,
                   "integration_error": law.error, "floor": floor, "noise": law.is_noise}  # fmt: skip
            row |= measure(law, samples, repetitions, options.seed)
            rows.append(row)
            rmse = "  ".join(f"{name} {row[name]['rmse']:.4f} ({row[name]['bias']:+.4f})" for name in ESTIMATORS)
            print(f"{samples:>7} {law.name:<32} {law.bits:.4f}  floor {floor:.4f}  {rmse}", flush=True)
    summary = {str(samples): summarize(rows, samples) for samples in options.samples}
    for samples, figures in summary.items():
        for name, values in figures.items():
            print(samples, name, {key: round(value, 4) for key, value in values.items()})
    write_json(
        options.result,
        {
            "what": "RMSE and bias in bits of mutual information estimates; floor: standard deviation of the true "
            "log-ratio over the square root of the number of samples",
            "repetitions": dict(zip(map(str, options.samples), options.repetitions, strict=True)),
            "seed": options.seed,
            "environment": {**environment(), "scikit-learn": version("scikit-learn"), "numpy": np.__version__},
            "summary": summary,
            "rows": rows,
        },
    )


if __name__ == "__main__":
    main()
