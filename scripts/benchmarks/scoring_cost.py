"""
What counting costs, against rows, layers and neurons of a layer: the paper states O(N * i * j). One thread's processor
seconds, so that what else the machine does counts little; the forward passes are not in them.

    python scripts/benchmarks/scoring_cost.py --help
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from mutual_information_speed import draw, exponent, stream

from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
FIXED = {"rows": 10_000, "layers": 4, "neurons": 256}
SIZES = {
    "rows": [2500, 5000, 10_000, 20_000, 40_000, 80_000, 160_000],
    "layers": [1, 2, 4, 8, 16, 32],
    "neurons": [32, 64, 128, 256, 512, 1024, 2048],
}
CLASSES, BATCH_SIZE = 4, 1024


def seconds_of(rows: int, layers: int, neurons: int) -> float:
    """Processor seconds of scoring so many layers in a stream."""
    activations, labels = draw(rows, neurons, CLASSES)
    started = time.process_time()
    for _ in range(layers):
        stream(activations, labels, CLASSES, BATCH_SIZE)
    return time.process_time() - started


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--repetitions", type=int, default=3, help="Counted runs of each.")
    parser.add_argument("--result", type=Path, default=RESULTS / "scoring_cost.json", help="File.")
    options = parser.parse_args()
    torch.set_num_threads(1)

    problems = [(dimension, size) for dimension, sizes in SIZES.items() for size in sizes]
    seconds: dict[tuple[str, int], list[float]] = {problem: [] for problem in problems}
    for repetition in range(options.repetitions + 1):
        for dimension, size in problems:
            measured = seconds_of(**{**FIXED, dimension: size})
            if repetition:
                seconds[dimension, size].append(measured)
        print(f"round {repetition} of {options.repetitions}", flush=True)
    results = {}
    for dimension, sizes in SIZES.items():
        medians = [statistics.median(seconds[dimension, size]) for size in sizes]
        # Small problems pay for what every stream pays once; the law is that of the large ones.
        results[dimension] = {
            "sizes": sizes,
            "seconds": medians,
            "exponent": exponent(sizes, medians),
            "exponent_of_the_four_largest": exponent(sizes[-4:], medians[-4:]),
        }
        print(f"{dimension}: exponent {results[dimension]['exponent']:.2f}", flush=True)
    write_json(
        options.result,
        {
            "what": "Median processor seconds of one thread of interleaved runs, counting and estimating; exponents: "
            "of seconds against one size, the others fixed",
            "fixed": {**FIXED, "classes": CLASSES, "batch_size": BATCH_SIZE},
            "repetitions": options.repetitions,
            "results": results,
            "environment": environment(),
        },
    )


if __name__ == "__main__":
    main()
