"""
Time of a forward pass of a text classifier against copies of it with narrower feed-forward layers.

In PyTorch (on a GPU, if asked for, and compiled) and in ONNX Runtime, medians of passes that take turns, beside the
ratio that counting multiplications predicts, and where PyTorch spends its time on a CPU: what is no feed-forward
layer takes as long as before. Which neurons a copy keeps makes no difference to its time, so it keeps any.

    python scripts/benchmarks/encoder_latency.py --help
"""

from __future__ import annotations

import argparse
import os
import statistics
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from mutual_information_speed import timed
from torch import nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForSequenceClassification, BertConfig, BertForSequenceClassification

from hf_midropout.export.onnx import largest_difference, session_of, to_onnx
from hf_midropout.groups import find_groups
from hf_midropout.pruning.encoder.width_allocation import width_for
from hf_midropout.pruning.speed.latency import random_inputs
from hf_midropout.pruning.speed.search import cut_copy
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
DENSE = "dense"
ENGINES = ["pytorch", "compiled", "onnxruntime"]
FEED_FORWARD, ACTIVATION = "feed-forward matmuls", "activation"
ATTENTION_LINEAR, ATTENTION = "attention matmuls", "attention, rest"
EMBEDDINGS, NORMS, OTHER = "embeddings", "layer norms", "other"


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="Pretrained encoder.")
    parser.add_argument(
        "--architectures", nargs="+", default=["own", "bert"], choices=["own", "bert"],
        help="The model as it is; a BERT of its sizes with random weights.",
    )  # fmt: skip
    parser.add_argument("--engines", nargs="+", default=["pytorch", "onnxruntime"], choices=ENGINES)
    parser.add_argument("--device", default="cpu", help="Where PyTorch runs.")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16", "float16"], help="Of weights.")
    parser.add_argument("--keep", type=float, nargs="+", default=[0.5, 0.25, 0.125], help="Fractions of the neurons.")
    parser.add_argument("--batch_sizes", type=int, nargs="+", default=[1, 32], help="Rows of a pass.")
    parser.add_argument("--tokens", type=int, default=128, help="In each row, none of them padding.")
    parser.add_argument(
        "--repetitions", type=int, default=50, help="Passes of one row that count; of more rows fewer."
    )
    parser.add_argument("--result", type=Path, default=RESULTS / "encoder_latency.json", help="File to write.")
    return parser


def classifier(name: str, architecture: str) -> nn.Module:
    """The encoder under a head of four classes; `"bert"`: a BERT of its sizes."""
    own = AutoModelForSequenceClassification.from_pretrained(name, num_labels=4, dtype=torch.float32).eval()
    if architecture == "own":
        return own
    sizes = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
             "hidden_act", "max_position_embeddings")  # fmt: skip
    config = BertConfig(num_labels=4, **{size: getattr(own.config, size) for size in sizes})
    return BertForSequenceClassification(config).eval()


def multiplications(network: nn.Module, inputs: dict[str, torch.Tensor]) -> int:
    """Multiply-adds of a pass: of linear maps and of the products of attention."""
    attention = network.config._attn_implementation
    network.set_attn_implementation("eager")  # the products inside others are not counted
    with FlopCounterMode(display=False) as counter:
        network(**inputs)
    network.set_attn_implementation(attention)
    return counter.get_total_flops() // 2


def part_of(network: nn.Module, name: str, feed_forward: set[str]) -> str | None:
    """What the module `name` is counted as; `None` for one that is counted with what it lies in."""
    pieces = name.split(".")
    above = [network.get_submodule(".".join(pieces[:count])) for count in range(1, len(pieces) + 1)]
    kinds = [type(module).__name__ for module in above]
    in_attention = any(kind.endswith("Attention") for kind in kinds)
    if name in feed_forward:
        return FEED_FORWARD
    if kinds[-1].endswith("Embeddings"):
        return EMBEDDINGS
    if isinstance(above[-1], nn.LayerNorm):
        return NORMS if not any(kind.endswith("Embeddings") for kind in kinds) else None
    if isinstance(above[-1], nn.Linear):
        return ATTENTION_LINEAR if in_attention else OTHER
    if kinds[-1].endswith("Attention"):
        return ATTENTION
    return ACTIVATION if type(above[-1]).__module__ == "transformers.activations" else None


def milliseconds_of_parts(network: nn.Module, inputs: dict[str, torch.Tensor], passes: int) -> dict[str, float]:
    """Mean milliseconds of a pass that PyTorch's profiler sees each part take, without the parts inside of it."""
    groups = find_groups(network, "encoder").values()
    feed_forward = {rows.module for group in groups for rows in group.producers} | {group.consumer for group in groups}
    parts = {name: part_of(network, name, feed_forward) for name, _ in network.named_modules() if name}
    stack: list[str] = []
    open_ranges: list[record_function] = []
    handles = []

    def enter(part: str) -> Callable[..., None]:
        def hook(*_) -> None:
            stack.append(part)
            # A range inside another is taken off it, and so it is named after both.
            open_ranges.append(record_function("/".join(stack[-2:])).__enter__())

        return hook

    def leave(*_) -> None:
        stack.pop()
        open_ranges.pop().__exit__(None, None, None)

    for name, part in {"": OTHER, **{name: part for name, part in parts.items() if part}}.items():
        module = network.get_submodule(name)
        handles += [module.register_forward_pre_hook(enter(part)), module.register_forward_hook(leave)]
    network(**inputs)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(passes):
            network(**inputs)
    for handle in handles:
        handle.remove()
    every = (FEED_FORWARD, ACTIVATION, ATTENTION_LINEAR, ATTENTION, EMBEDDINGS, NORMS, OTHER)
    found = dict.fromkeys(every, 0.0)
    for each in profiler.key_averages():
        *outer, part = each.key.split("/")
        if part in found:
            milliseconds = each.cpu_time_total / 1000 / passes
            found[part] += milliseconds
            if outer and outer[-1] in found:
                found[outer[-1]] -= milliseconds
    return found


def passes_of(engine: str, networks: dict[str, nn.Module], inputs: dict[str, torch.Tensor], sessions: dict[str, Any]):
    """What makes a pass, by network."""
    if engine != "onnxruntime":
        device = inputs["input_ids"].device

        def one_pass(network: nn.Module) -> None:
            network(**inputs)
            if device.type != "cpu":
                torch.accelerator.synchronize(device)

        if engine == "compiled":
            networks = {name: torch.compile(network, dynamic=False) for name, network in networks.items()}
            for network in networks.values():
                one_pass(network)
        return {name: lambda network=network: one_pass(network) for name, network in networks.items()}
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    return {name: lambda session=sessions[name]: session.run(None, arrays) for name in networks}


def measured(options: argparse.Namespace, architecture: str) -> dict[str, Any]:
    """Times, predictions and parts of one model."""
    dense = classifier(options.model, architecture).to(options.device, getattr(torch, options.dtype))
    units = next(iter(find_groups(dense, "encoder").values())).num_units
    layers = dense.config.num_hidden_layers
    widths = {DENSE: units} | {f"{keep:g}": width_for(keep, units) for keep in options.keep}
    networks = {name: cut_copy(dense, layers, width).eval() for name, width in widths.items()}
    contents = {name: to_onnx(network) for name, network in networks.items() if "onnxruntime" in options.engines}
    differences = {name: largest_difference(networks[name], content) for name, content in contents.items()}
    sessions = {name: session_of(content) for name, content in contents.items()}
    result: dict[str, Any] = {
        "class": type(dense).__name__,
        "attention": dense.config._attn_implementation,
        "layers": layers,
        "hidden_size": dense.config.hidden_size,
        "widths": widths,
        "parameters": {name: sum(each.numel() for each in network.parameters()) for name, network in networks.items()},
        "onnx_bytes": {name: len(content) for name, content in contents.items()},
        "onnx_largest_difference_of_a_logit": max(differences.values(), default=None),
        "batches": {},
    }
    for batch_size in options.batch_sizes:
        inputs = random_inputs([dense], batch_size, options.tokens)
        count = {name: multiplications(network, inputs) for name, network in networks.items()}
        repetitions = max(5, round(options.repetitions / batch_size**0.5))
        found: dict[str, Any] = {"repetitions": repetitions, "multiplications": count}
        for engine in options.engines:
            seconds = timed(passes_of(engine, networks, inputs, sessions), repetitions)
            found[engine] = compared(seconds, count)
            for name, each in found[engine].items():
                what = f"{architecture:<6}{engine:<13}batch {batch_size:<4}{name:<7}{each['milliseconds']:>9.2f} ms"
                print(f"{what}{each['times_faster']:>7.2f} times, predicted {each['predicted']:.2f}", flush=True)
        if options.device == "cpu":  # what a GPU does is not done by the time that a range ends
            found["parts_in_pytorch"] = {
                name: milliseconds_of_parts(network, inputs, max(3, repetitions // 3))
                for name, network in networks.items()
            }
        result["batches"][str(batch_size)] = found
    return result


def compared(seconds: dict[str, list[float]], count: dict[str, int]) -> dict[str, dict[str, float]]:
    """Median, quartiles and ratios to the dense network, by network."""
    result = {}
    for name, values in seconds.items():
        low, middle, high = statistics.quantiles(values, n=4)
        ratio, predicted = statistics.median(seconds[DENSE]) / statistics.median(values), count[DENSE] / count[name]
        result[name] = {
            "milliseconds": 1000 * middle,
            "quartiles": [1000 * low, 1000 * high],
            "times_faster": ratio,
            "predicted": predicted,
            "over_predicted": ratio / predicted,
        }
    return result


def main() -> None:
    options = make_parser().parse_args()
    torch.manual_seed(0)
    with torch.no_grad():
        models = {architecture: measured(options, architecture) for architecture in options.architectures}
    packages = ("onnx", "onnxscript", "onnxruntime") if "onnxruntime" in options.engines else ()
    result = {
        "what": "milliseconds of a forward pass, medians of passes that take turns; times_faster: dense over pruned; "
        "predicted: the same of multiply-adds; parts_in_pytorch: means under the profiler, which slows all parts",
        "model": Path(options.model).name,
        "tokens": options.tokens,
        "device": torch.cuda.get_device_name(options.device) if "cuda" in options.device else options.device,
        "dtype": options.dtype,
        "models": models,
        "environment": {**environment(), **{package: version(package) for package in packages}},
    }
    write_json(options.result, result)


if __name__ == "__main__":
    main()
