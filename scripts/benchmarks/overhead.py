"""
Time of a training step with masked layers beside one with plain layers of the same widths, on a real encoder.

    python scripts/benchmarks/overhead.py --help
"""

from __future__ import annotations

import argparse
import os
import statistics
from itertools import pairwise
from pathlib import Path

import torch
from mutual_information_speed import timed
from torch import nn
from transformers import AlbertForSequenceClassification

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.reporting.building import environment
from hf_midropout.utils.files import write_json


def plain_model(name: str, widths: list[int]) -> AlbertForSequenceClassification:
    """Stock ALBERT whose classifier is linear layers and ReLUs."""
    model = AlbertForSequenceClassification.from_pretrained(name, num_labels=4, dtype=torch.float32)
    layers: list[nn.Module] = []
    for incoming, outgoing in pairwise([model.config.hidden_size, *widths]):
        layers += [nn.Linear(incoming, outgoing), nn.ReLU()]
    model.classifier = nn.Sequential(*layers, nn.Linear(widths[-1], 4))
    return model


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="ALBERT checkpoint.")
    parser.add_argument("--head_widths", type=int, nargs="+", default=[256, 128, 64], help="Neurons by layer.")
    parser.add_argument("--batch_size", type=int, default=16, help="Rows per step.")
    parser.add_argument("--tokens", type=int, default=64, help="Tokens per row.")
    parser.add_argument("--repetitions", type=int, default=25, help="Counted steps of each.")
    parser.add_argument(
        "--result", type=Path, default=Path(__file__).parent / "results" / "overhead.json", help="File to write."
    )
    options = parser.parse_args()

    masked = MIDropoutAlbertForSequenceClassification.from_pretrained(
        options.model, num_labels=4, head_widths=options.head_widths, dtype=torch.float32
    )
    for layer in masked.classifier.layers:
        layer.mask[::2] = False
    models = {"plain": plain_model(options.model, options.head_widths), "masked": masked}
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randint(5, 1000, (options.batch_size, options.tokens), generator=generator)
    labels = torch.randint(0, 4, (options.batch_size,), generator=generator)

    def make_step(model):
        optimizer = torch.optim.AdamW(model.train().parameters(), lr=1e-5)

        def step():
            model(input_ids=inputs, labels=labels).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    seconds = timed({name: make_step(model) for name, model in models.items()}, options.repetitions)
    ratios = [a / b for a, b in zip(seconds["masked"], seconds["plain"], strict=True)]
    result = {
        "what": "wall seconds of a training step, medians of interleaved steps; ratio: median over pairs of steps",
        "seconds": {name: statistics.median(values) for name, values in seconds.items()},
        "masked_over_plain": statistics.median(ratios),
        "head_widths": options.head_widths,
        "batch_size": options.batch_size,
        "tokens": options.tokens,
        "repetitions": options.repetitions,
        "environment": environment(),
    }
    write_json(options.result, result)
    print({key: result[key] for key in ("seconds", "masked_over_plain")})


if __name__ == "__main__":
    main()
