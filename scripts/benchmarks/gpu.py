"""
Mutual information of activations that are on a GPU: time beside that of reading them once, agreement with the CPU, and
whether a stream ever makes the CPU wait.

    python scripts/benchmarks/gpu.py --help
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mutual_information_speed import draw, timed

from hf_midropout.information import NeuronStatistics, mutual_information
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"


@contextmanager
def no_waits(device: torch.device) -> Iterator[None]:
    """On a GPU, a wait of the CPU for it is an error in here."""
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode(before)


def stream(activations: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace) -> NeuronStatistics:
    """Counts all batches; after the first, which places the bins, a wait of the CPU for the GPU is an error."""
    counted = NeuronStatistics(activations.shape[1], options.classes, device=activations.device)
    counted.calibrate(activations[: options.batch_size], labels[: options.batch_size])
    with no_waits(activations.device):
        for rows, of_rows in zip(activations.split(options.batch_size), labels.split(options.batch_size), strict=True):
            counted.update(rows, of_rows)
    return counted


def largest_difference(activations: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace) -> dict:
    """Of the bits on the device and on the CPU, for the first neurons."""
    chosen = activations[:, : options.compared_neurons].contiguous()
    ways = {
        "in memory": lambda a, y: mutual_information(a, y, num_classes=options.classes)[0],
        "stream": lambda a, y: stream(a, y, options).mutual_information().bits,
    }
    return {
        name: float((way(chosen, labels).cpu() - way(chosen.cpu(), labels.cpu())).abs().max())
        for name, way in ways.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="Where the activations are.")
    parser.add_argument("--samples", type=int, default=1_000_000, help="Rows.")
    parser.add_argument("--neurons", type=int, default=3072, help="Columns.")
    parser.add_argument("--classes", type=int, default=4, help="Classes.")
    parser.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"], help="Of them.")
    parser.add_argument("--batch_size", type=int, default=8192, help="Rows that a stream is given at once.")
    parser.add_argument("--compared_neurons", type=int, default=64, help="Neurons to compute on the CPU too.")
    parser.add_argument("--repetitions", type=int, default=5, help="Counted runs of each.")
    parser.add_argument("--result", type=Path, default=RESULTS / "gpu.json", help="File.")
    options = parser.parse_args()
    on_gpu = torch.device(options.device).type == "cuda"
    if on_gpu and not torch.cuda.is_available():
        parser.error(f"--device {options.device}: torch {torch.__version__} finds no GPU here.")

    activations, labels = draw(
        options.samples, options.neurons, options.classes, getattr(torch, options.dtype), options.device
    )
    copy = torch.empty_like(activations)
    runs = {
        "in memory": lambda: mutual_information(activations, labels, num_classes=options.classes),
        "stream": lambda: stream(activations, labels, options).mutual_information(),
        "copy": lambda: copy.copy_(activations),
    }

    def finished(run):
        run()
        if on_gpu:
            torch.cuda.synchronize()

    all_seconds = timed({name: lambda run=run: finished(run) for name, run in runs.items()}, options.repetitions)
    seconds = {name: statistics.median(values) for name, values in all_seconds.items()}
    floor = seconds.pop("copy") / 2  # a copy reads and writes
    result = {
        "what": "Median wall seconds of interleaved runs; one_read_seconds: half the time of a copy",
        **{key: getattr(options, key) for key in ("samples", "neurons", "classes", "dtype", "batch_size")},
        "seconds": seconds,
        "one_read_seconds": floor,
        "over_one_read": {name: value / floor for name, value in seconds.items()},
        "largest_difference_to_cpu_in_bits": largest_difference(activations, labels, options),
        "peak_gpu_memory_mib": round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else None,
        "repetitions": options.repetitions,
        "environment": {
            **environment(),
            "device": torch.cuda.get_device_name() if on_gpu else options.device,
        },
    }
    write_json(options.result, result)
    print({key: value for key, value in result.items() if key not in ("what", "environment")})


if __name__ == "__main__":
    main()
