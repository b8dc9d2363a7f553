"""
Mutual information of activations that are on a GPU: time beside that of reading them once, agreement with the CPU, and
whether a stream ever makes the CPU wait.

    python scripts/benchmarks/gpu.py --help
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from mutual_information_speed import draw, timed

from hf_midropout.information import NeuronStatistics, mutual_information
from hf_midropout.information.counting.edges import NUM_BINS
from hf_midropout.information.counting.one_read import KERNELS, SWITCH, reason_against, run_kernel
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
CALIBRATION_ROWS = 2048
"""Rows that place the bins, as many as by default."""


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


class Phases:
    """
    Seconds of the phases of a stream, each with what the GPU still had to do.

    Args:
        device (`torch.device`): Of the activations.
        are_timed (`bool`): Else the CPU does not wait between phases.
    """

    def __init__(self, device: torch.device, are_timed: bool):
        self.device, self.are_timed = device, are_timed
        self.seconds: dict[str, float] = {}
        self.done()

    def done(self, name: str | None = None, waits: bool = True) -> None:
        if not self.are_timed:
            return
        if waits and self.device.type == "cuda":
            torch.cuda.synchronize()
        now = time.perf_counter()
        if name:
            self.seconds[name] = now - self.started
        if waits:
            self.started = now


def stream(
    activations: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace, phases: Phases | None = None
) -> NeuronStatistics:
    """Counts all batches, of which none may make the CPU wait for the GPU; the bins are placed before them."""
    phases = phases or Phases(activations.device, False)
    counted = NeuronStatistics(activations.shape[1], options.classes, device=activations.device)
    counted.calibrate(activations[:CALIBRATION_ROWS], labels[:CALIBRATION_ROWS])
    phases.done("bins are placed")
    with no_waits(activations.device):
        for rows, of_rows in zip(activations.split(options.batch_size), labels.split(options.batch_size), strict=True):
            counted.update(rows, of_rows)
    phases.done("batches are given to the GPU", waits=False)
    phases.done("batches are counted")
    return counted


@contextmanager
def counting_by(path: str) -> Iterator[None]:
    """`path` counts in here: `cuda`, `triton` or `torch`."""
    before = os.environ.get(SWITCH)
    os.environ[SWITCH] = path
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWITCH]
        else:
            os.environ[SWITCH] = before


def streamed_by(path: str, *given) -> torch.Tensor:
    with counting_by(path):
        return stream(*given).mutual_information().bits


def seconds_of_phases(path: str, activations: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace) -> dict:
    """Of one stream, counted by `path`, after those that were timed as a whole."""
    with counting_by(path):
        phases = Phases(activations.device, True)
        counted = stream(activations, labels, options, phases)
        counted.mutual_information()
        phases.done("bits are estimated")
    return phases.seconds


def gpu_seconds(run: Callable[[], object], repetitions: int) -> float:
    """Median between two events on the GPU, after one run that does not count."""
    seconds = []
    for _ in range(repetitions + 1):
        started, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        started.record()
        run()
        ended.record()
        torch.cuda.synchronize()
        seconds.append(started.elapsed_time(ended) / 1000)
    return statistics.median(seconds[1:])


def kernels_alone(path: str, activations: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace) -> dict:
    """Seconds of the kernel `path` alone, on the GPU's clock, by the number of rows that each call is given."""
    neurons = activations.shape[1]
    statistic = NeuronStatistics(neurons, options.classes, device=activations.device)
    statistic.calibrate(activations[:CALIBRATION_ROWS], labels[:CALIBRATION_ROWS])
    cells = torch.zeros(neurons * NUM_BINS * options.classes + 1, dtype=torch.int32, device=activations.device)
    nonfinite = cells.new_zeros(neurons)
    ignored, invalid = torch.zeros(2, dtype=torch.int64, device=activations.device).unbind()

    def count(rows_at_once: int) -> None:
        for rows, of_rows in zip(activations.split(rows_at_once), labels.split(rows_at_once), strict=True):
            run_kernel(path, cells, nonfinite, ignored, invalid, rows, of_rows, statistic.edges)

    sizes = sorted({options.batch_size, 65_536, options.samples})
    return {size: gpu_seconds(lambda size=size: count(size), options.repetitions) for size in sizes}


def busiest(run: Callable[[], object], number: int = 15) -> list[dict]:
    """The GPU's kernels that `run` spends most time in."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        run()
        torch.cuda.synchronize()
    spent: dict[str, list[float]] = defaultdict(list)
    for event in profiled.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            spent[event.name[:100]].append(event.time_range.elapsed_us() / 1e6)
    order = sorted(spent, key=lambda name: -sum(spent[name]))[:number]
    return [{"kernel": name, "seconds": sum(spent[name]), "calls": len(spent[name])} for name in order]


def attempted(run: Callable[[], object]) -> object:
    """What `run` gives, or why it gives nothing: figures that only help to understand others do not end the run."""
    try:
        return run()
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def largest_difference(
    activations: torch.Tensor, labels: torch.Tensor, options: argparse.Namespace, paths: list[str]
) -> dict:
    """Of the bits on the device and on the CPU, for the first neurons."""
    chosen = activations[:, : options.compared_neurons].contiguous()
    on_cpu, of_cpu = chosen.cpu(), labels.cpu()
    expected = stream(on_cpu, of_cpu, options).mutual_information().bits
    in_memory = mutual_information(on_cpu, of_cpu, num_classes=options.classes)[0]
    found = {f"stream by {path}": streamed_by(path, chosen, labels, options).cpu() - expected for path in paths}
    found["in memory"] = mutual_information(chosen, labels, num_classes=options.classes)[0].cpu() - in_memory
    return {name: float(difference.abs().max()) for name, difference in found.items()}


def unusable(activations: torch.Tensor) -> dict[str, str]:
    """Why kernels are not used for `activations`, of those that are not."""
    if not activations.is_cuda:
        return dict.fromkeys(KERNELS, "the activations are not on a GPU")
    reasons = {path: reason_against(activations.device, path, activations.dtype) for path in KERNELS}
    return {path: reason for path, reason in reasons.items() if reason}


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
    written = torch.empty_like(activations)
    reasons = unusable(activations)
    paths = [path for path in (*KERNELS, "torch") if path not in reasons]
    given = activations, labels, options
    runs: dict[str, Callable[[], object]] = {
        "in memory": lambda: mutual_information(activations, labels, num_classes=options.classes),
        **{f"stream by {path}": lambda path=path: streamed_by(path, *given) for path in paths},
        "copy": lambda: written.copy_(activations),
    }

    def finished(run):
        run()
        if on_gpu:
            torch.cuda.synchronize()

    all_seconds = timed({name: lambda run=run: finished(run) for name, run in runs.items()}, options.repetitions)
    seconds = {name: statistics.median(values) for name, values in all_seconds.items()}
    floor = seconds.pop("copy") / 2  # a copy reads and writes
    none = {f"stream by {path}": None for path in reasons}
    helpful = {}
    if on_gpu:
        helpful = {
            "kernels_alone_by_rows_of_a_call": {
                path: attempted(lambda path=path: kernels_alone(path, *given)) for path in paths if path in KERNELS
            },
            "busiest_kernels": {
                name: attempted(lambda run=runs[name]: busiest(run)) for name in (f"stream by {paths[0]}", "in memory")
            },
        }
    result = {
        "what": "Median wall seconds of interleaved runs; one_read_seconds: half the time of a copy; a stream: "
        "bins placed by 2,048 rows, all batches counted, bits estimated",
        **{key: getattr(options, key) for key in ("samples", "neurons", "classes", "dtype", "batch_size")},
        "seconds": seconds | none,
        "one_read_seconds": floor,
        "over_one_read": {name: value / floor for name, value in seconds.items()} | none,
        "unusable": reasons,
        "seconds_of_phases": {path: seconds_of_phases(path, *given) for path in paths},
        **helpful,
        "largest_difference_to_cpu_in_bits": largest_difference(*given, paths),
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
