"""
Checks the sizes that a `config.json` asks for against the weights that are there, before a model is built.

A config costs nothing to write: one number makes transformers build a million layers, or fill gigabytes with weights
that the checkpoint lacks. So a number of layers must be that of the weights' names, a width one of theirs, and the
parameters that both ask for no more than are there.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

from ..model_types import is_own, own_type, uneven_type
from .config_checks import is_whole, refusal, walk
from .safetensors_checks import DTYPE_BYTES


MAX_WIDTH = 10_000_000
MAX_LAYERS = 1_000
MAX_POSITIONS = 2**21
MAX_EXPERTS = 2**14
FREE = 4_096
"""A width or a number of positions up to this is never refused: it costs little."""

SHARED = ("albert", own_type("albert"), uneven_type("albert"))  # the same layers, applied num_hidden_layers times
LAYERS = ("num_hidden_layers", "num_layers", "n_layer", "n_layers", "encoder_layers", "decoder_layers",
          "num_encoder_layers", "num_decoder_layers")  # fmt: skip
NAMED = {"inner_group_num": "albert_layers", "num_hidden_groups": "albert_layer_groups"}
COUNT = re.compile(r"(num|n)_\w*(layer|group|block|network|repeat|attends)\w*|\w*_(layers|depth|repeats)|depths?")
EXPERTS = re.compile(r"(num|n)_\w*experts?")
HEADS = re.compile(r"(\w*_)?(num|n)_(\w*_)?heads?|\w*attention_heads")
WIDTH = re.compile(
    r"\w*_(size|sizes|dim|dims|width|widths|channels|embd|inner|ff|rank|buckets|latents)|dim|d_\w+|n_embd|n_inner|"
    r"num_labels|_num_labels"
)
POSITIONS = re.compile(r"(\w*_)?position_embeddings|\w*_positions|n_ctx")


@dataclass
class Weights:
    """What there is: `shapes` (`dict`, by tensor) and `dtypes` (`dict[str, str]`), from all files of a checkpoint."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    dtypes: dict[str, str] = field(default_factory=dict)

    def widths(self) -> set[int]:
        """The sizes of all dimensions of tensors that are not empty: an empty one may say any size for nothing."""
        return {width for shape in self.shapes.values() if math.prod(shape) for width in shape}

    def parameters(self) -> int:
        """At most this many are there: integers may hold two each to a byte, of quantised weights."""
        return sum(
            math.prod(shape) * (1 if self.dtypes[name] in ("F16", "BF16", "F32", "F64") else 2 * DTYPE_BYTES[dtype])
            for name, shape in self.shapes.items()
            for dtype in [self.dtypes[name]]
        )

    def layers(self, of: str | None = None) -> int:
        """One more than the largest number in the tensors' names; of those that follow the part `of`, if given."""
        pattern = re.compile(rf"(?:^|\.){of or '[^.]+'}\.(\d{{1,6}})(?=\.|$)")
        return 1 + max((int(number) for name in self.shapes for number in pattern.findall(name)), default=0)


def check_sizes(config: dict[str, Any], weights: Weights) -> None:
    """`ValueError` for a size in `config.json`, at any depth, that the weights do not bear out."""
    widths = weights.widths()
    widest, layers = max(widths, default=0), weights.layers()
    for key, value in walk(config):
        for number in value if isinstance(value, list) else [value]:
            if is_whole(number):
                check_number(key, number, config, weights, widths, widest, layers)
    names = config.get("id2label")
    if isinstance(names, dict) and len(names) > max(widest, 2):
        raise refusal("id2label", f"{len(names):,} classes", f"the weights' largest width is {widest:,}")


def check_total(config: dict[str, Any], weights: Weights) -> None:
    """`ValueError` if a model of this config has more parameters than the weights can hold."""
    asked, there = implied_parameters(config), weights.parameters()
    if asked > 2 * there + 2**20:
        raise ValueError(f"config.json asks for {asked:,} parameters or more: the weights hold {there:,}.")


def check_number(
    key: str, number: int, config: dict[str, Any], weights: Weights, widths: set[int], widest: int, layers: int
) -> None:
    """[`check_sizes`] of one number."""
    if HEADS.fullmatch(key):
        if not 1 <= number <= max(widest, 1):
            raise refusal(key, number, f"must be at least 1 and at most the weights' largest width, {widest:,}")
    elif key in LAYERS or key in NAMED or (key.startswith(("num_", "n_")) and COUNT.fullmatch(key)):
        shared = key == "num_hidden_layers" and config.get("model_type") in SHARED
        limit = MAX_LAYERS if shared else weights.layers(NAMED[key]) if key in NAMED else layers
        if key not in LAYERS and key not in NAMED:
            limit = max(limit, 64)
        if not 0 <= number <= limit:
            raise refusal(key, number, f"must be at least 0 and at most {limit:,}, as many as the weights have")
    elif COUNT.fullmatch(key):
        if number > max(layers, 64):
            raise refusal(key, number, f"must be at most {max(layers, 64):,}")
    elif EXPERTS.fullmatch(key):
        if not 0 <= number <= MAX_EXPERTS:
            raise refusal(key, number, f"must be at least 0 and at most {MAX_EXPERTS:,}")
    elif POSITIONS.fullmatch(key):
        # Positions that are not learned have no weights that could show a limit; others are rows of a tensor.
        computed = any(word in name for name, _ in walk(config) for word in ("rope", "rotary", "mamba"))
        limit = MAX_POSITIONS if computed else 2 * FREE
        if number > limit and (number not in widths or number > MAX_WIDTH):
            raise refusal(key, number, f"must be at most {limit:,}, or a width of the weights")
    elif WIDTH.fullmatch(key) and not -1 <= number <= min(max(widest, FREE), MAX_WIDTH):
        raise refusal(key, number, f"must be at most {max(widest, FREE):,}, the weights' largest width")


def implied_parameters(config: dict[str, Any]) -> int:
    """
    At least this many parameters has a model of this config: embeddings, and in each layer one square map and two to
    and from the intermediate width. 0 for what has other names for these sizes.
    """

    def size(*names: str, default: int = 0) -> int:
        return next((config[name] for name in names if is_whole(config.get(name))), default)

    hidden = size("hidden_size", "d_model", "dim", "n_embd")
    inner = size("intermediate_size", "ffn_dim", "encoder_ffn_dim", "hidden_dim", "d_ff", "d_inner", "n_inner")
    layers = size("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
    if config.get("model_type") in SHARED:
        layers = size("num_hidden_groups", default=1) * size("inner_group_num", default=1)
    if any(EXPERTS.fullmatch(key) for key in config):
        layers = 0  # whose layers have other widths
    embedding = size("embedding_size", "word_embed_proj_dim", default=hidden)
    head, incoming = 0, hidden
    for width in config.get("head_widths", []) if is_own(config.get("model_type")) else []:
        head, incoming = head + width * incoming, width
    return size("vocab_size") * embedding + layers * (hidden * hidden + 2 * hidden * inner) + head
