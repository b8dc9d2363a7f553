"""The scores of every neuron of the tapped layers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import torch

from ..information import MutualInformation
from ..utils.files import write_json
from ..utils.listing import listed


@dataclass(eq=False, repr=False)
class NeuronScores:
    """
    Mutual information between every neuron of some layers and the label. With several binary labels it is the mean
    over them; of a regression target it is about the target's bin.

    Scores are equal if every number in them is, bit for bit; how long it took to get them, and over how many
    processes, does not count. `print` shows a table.

    Args:
        layers (`dict[str, MutualInformation]`): By group or module name, in the order in which the model runs them.
        num_classes (`int`): Number of classes of the task; of binary labels; of bins of a regression target.
        num_ignored (`int`): Samples left out because their label was -100.
        seconds (`float`): Wall time of the pass that gave the scores.
        problem_type (`str`): `"single_label_classification"`, `"multi_label_classification"` or `"regression"`.
        bytes_reduced (`int`): Bytes that each process put into the all-reduce of the counts; 0 with one process.
    """

    layers: dict[str, MutualInformation]
    num_classes: int
    num_ignored: int = 0
    seconds: float = 0.0
    problem_type: str = "single_label_classification"
    bytes_reduced: int = 0

    def __getitem__(self, layer: str) -> MutualInformation:
        """The estimates for the neurons of one layer; `KeyError` that names the layers for another name."""
        if layer not in self.layers:
            raise KeyError(f"{layer!r} is none of the layers: {listed(self.layers)}")
        return self.layers[layer]

    def __iter__(self) -> Iterator[str]:
        """The names of the layers."""
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def to_pandas(self):
        """A `pandas.DataFrame` with a row for each neuron: `layer`, `neuron`, `bits`, `stderr`, `p_value`."""
        import pandas as pd

        frames = [
            pd.DataFrame(
                {"layer": name, "neuron": range(len(layer.bits))}
                | {key: getattr(layer, key).cpu().numpy() for key in ("bits", "stderr", "p_value")}
            )
            for name, layer in self.layers.items()
        ]
        columns = ["layer", "neuron", "bits", "stderr", "p_value"]
        return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=columns)

    @property
    def bits(self) -> dict[str, torch.Tensor]:
        """`[K]` mutual information with the label, by layer."""
        return {name: layer.bits for name, layer in self.layers.items()}

    @property
    def label_entropy(self) -> float:
        """Entropy of the label in bits: no neuron can carry more."""
        return next(iter(self.layers.values())).label_entropy

    @property
    def num_samples(self) -> int:
        """Labelled samples behind the scores."""
        return next(iter(self.layers.values())).num_samples

    def layer_average(self, kept: dict[str, torch.Tensor] | None = None) -> dict[str, float]:
        """
        Mean bits per layer (eq. 3 of the paper).

        Args:
            kept (`dict[str, torch.Tensor]`, *optional*): bool masks of the neurons to average over; all by default.
        """
        return {
            name: float((layer.bits if kept is None else layer.bits[kept[name].to(layer.bits.device)]).mean())
            for name, layer in self.layers.items()
        }

    def widened(self, kept: Mapping[str, torch.Tensor]) -> NeuronScores:
        """
        The same of layers from which neurons were cut, with the width that they had: 0 bits for those that are gone.

        Args:
            kept (`Mapping[str, torch.Tensor]`): bool masks of the neurons left, by layer; others stay as they are.
        """
        layers = dict(self.layers)
        for name, mask in kept.items():
            layer = layers[name]
            gone, there = torch.zeros(len(mask), dtype=torch.float64), (layer.bits, layer.stderr, layer.p_value)
            bits, stderr, p_value = (
                empty.masked_scatter(mask, values.cpu())
                for empty, values in zip((gone, gone, gone + 1), there, strict=True)
            )
            layers[name] = layer._replace(bits=bits, stderr=stderr, p_value=p_value)
        return replace(self, layers=layers)

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content; `from_dict` reads it back."""
        return {
            "problem_type": self.problem_type,
            "num_classes": self.num_classes,
            "num_samples": self.num_samples,
            "num_ignored": self.num_ignored,
            "label_entropy_bits": self.label_entropy,
            "seconds": self.seconds,
            "bytes_reduced": self.bytes_reduced,
            "layers": {
                name: {key: getattr(layer, key).tolist() for key in ("bits", "stderr", "p_value")}
                for name, layer in self.layers.items()
            },
        }

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> NeuronScores:
        """Reads what `to_dict` gave."""
        layers = {
            name: MutualInformation(
                bits=torch.tensor(layer["bits"], dtype=torch.float64),
                stderr=torch.tensor(layer["stderr"], dtype=torch.float64),
                p_value=torch.tensor(layer["p_value"], dtype=torch.float64),
                label_entropy=content["label_entropy_bits"],
                num_samples=content["num_samples"],
            )
            for name, layer in content["layers"].items()
        }
        names = ("num_classes", "num_ignored", "seconds", "problem_type", "bytes_reduced")
        return cls(layers, **{name: content[name] for name in names})

    def save(self, path: str | os.PathLike) -> None:
        """Writes JSON, atomically."""
        write_json(path, self.to_dict())

    @classmethod
    def load(cls, path: str | os.PathLike) -> NeuronScores:
        """Reads what `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    def plot(self, layer: str | None = None, ax=None):
        """
        Draws a histogram of the bits of neurons: of all layers together, or of one.

        Args:
            layer (`str`, *optional*): Name of a layer; all by default, stacked.
            ax (`matplotlib.axes.Axes`, *optional*): Where to draw; a new figure by default.

        Returns:
            `matplotlib.axes.Axes`: those that were drawn on.
        """
        from .score_axes import draw_bits  # matplotlib takes a second to import

        return draw_bits(self.bits if layer is None else {layer: self[layer].bits}, ax)

    def save_figure(self, path: str | os.PathLike) -> Path:
        """Draws a histogram of the bits of each layer's neurons into a PNG file."""
        from ..utils.plotting import draw
        from .histogram import histogram_of_bits

        return draw(lambda: histogram_of_bits(self.bits), Path(path))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NeuronScores):
            return NotImplemented
        mine, others = (
            (scores.num_classes, scores.num_ignored, scores.problem_type, list(scores.layers))
            for scores in (self, other)
        )
        return mine == others and all(
            same(layer, other_layer)
            for layer, other_layer in zip(self.layers.values(), other.layers.values(), strict=True)
        )

    __hash__ = None  # type: ignore[assignment]  # as of any other mutable dataclass

    def __repr__(self) -> str:
        if not self.layers:
            return "NeuronScores(no layers)"
        neurons = sum(len(layer.bits) for layer in self.layers.values())
        return (
            f"NeuronScores({len(self.layers)} layers, {neurons:,} neurons, {self.num_samples:,} samples, label of "
            f"{self.label_entropy:.3f} bits)"
        )

    def _repr_html_(self) -> str:
        """A table, as notebooks show it."""
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{len(layer.bits):,}</td>"
            + "".join(
                f"<td>{float(value):.3f}</td>" for value in (layer.bits.mean(), layer.bits.min(), layer.bits.max())
            )
            + "</tr>"
            for name, layer in self.layers.items()
        )
        heading = "<tr><th>layer</th><th>neurons</th><th>mean bits</th><th>min</th><th>max</th></tr>"
        return f"<table><thead>{heading}</thead><tbody>{rows}</tbody></table><p>{escape(repr(self))}</p>"

    def __str__(self) -> str:
        width = max(28, *(len(name) for name in self.layers))
        lines = [f"{'layer':<{width}}{'neurons':>8}{'mean':>8}{'min':>8}{'max':>8}   bits"]
        for name, layer in self.layers.items():
            bits = layer.bits
            lines.append(f"{name:<{width}}{len(bits):>8}{bits.mean():>8.3f}{bits.min():>8.3f}{bits.max():>8.3f}")
        label = {
            "single_label_classification": "the label has",
            "multi_label_classification": f"the mean of {self.num_classes} labels, which have",
            "regression": f"about {self.num_classes} bins of the target, which have",
        }[self.problem_type]
        lines.append(f"{self.num_samples:,} samples; {label} {self.label_entropy:.3f} bits")
        return "\n".join(lines)


def same(one: MutualInformation, other: MutualInformation) -> bool:
    """Whether two layers' estimates are equal, whichever devices they are on."""
    return (one.label_entropy, one.num_samples) == (other.label_entropy, other.num_samples) and all(
        torch.equal(getattr(one, name).cpu(), getattr(other, name).cpu()) for name in ("bits", "stderr", "p_value")
    )
