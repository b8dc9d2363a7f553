"""Whether the weights of a checkpoint have the shapes that its `config.json` asks for, those of its head above all."""

from __future__ import annotations

from typing import Any

from ..model_types import HEAD_ARCHITECTURES, is_own, stock_type
from ..utils.terminal import one_line
from .config_checks import is_whole


BUFFERS = ("mask", "drop_rate")
"""Of each hidden layer of the head. A checkpoint may lack them: then every neuron is kept, and none is dropped out."""


def check_shapes(config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """`ValueError` if the widths in `config.json` are not those of the weights."""
    hidden = config.get("hidden_size")
    if is_whole(hidden) and not any(hidden in shape for shape in shapes.values()):
        raise ValueError(f"config.json: hidden_size={hidden}, but no weight has that width.")
    if not is_own(config.get("model_type")):
        return
    expected = expected_shapes(config)
    for name, shape in expected.items():
        if name not in shapes and name.endswith(BUFFERS):
            continue  # made anew, so that every neuron is kept
        if name not in shapes:
            raise ValueError(f"The weights lack {name}, which config.json asks for.")
        if None not in shape and shapes[name] != shape:
            raise ValueError(
                f"config.json asks for {name} of shape {list(shape)}, the weights have {list(shapes[name])}."
            )
    extra = [name for name in shapes if name.startswith("classifier.layers.") and name not in expected]
    if extra:
        widths = one_line(config["head_widths"], 80)
        raise ValueError(f"The weights hold {one_line(extra[0])}, which head_widths={widths} has no place for.")


def expected_shapes(config: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    """The shapes of some weights of a model with a MI-Dropout head, and of all of its head; `None` where unknown."""
    row = HEAD_ARCHITECTURES[str(stock_type(config["model_type"]))]
    hidden, inner = config.get(row.hidden_size), config.get(row.intermediate_size)
    embedding = config.get(row.embedding_size, hidden)
    expected: dict[str, tuple[Any, ...]] = {
        f"{row.encoder}.{row.words}.weight": (config.get("vocab_size"), embedding),
        f"{row.encoder}.{row.feed_forward}.weight": (hidden, inner),
    }
    if row.positions:
        expected[f"{row.encoder}.{row.positions}.weight"] = (config.get("max_position_embeddings"), embedding)
    if row.pooler:
        expected[f"{row.encoder}.{row.pooler}.weight"] = (hidden, hidden)
    incoming = hidden
    for index, width in enumerate(config["head_widths"]):
        layer = f"classifier.layers.{index}"
        expected[f"{layer}.dense.weight"] = (width, incoming)
        for vector in ("dense.bias", *BUFFERS):
            expected[f"{layer}.{vector}"] = (width,)
        incoming = width
    classes = len(config.get("id2label") or {}) or config.get("num_labels", 2)
    expected["classifier.out_proj.weight"] = (classes, incoming)
    expected["classifier.out_proj.bias"] = (classes,)
    return expected
