"""The parts of `hf-midropout prune` that make a classifier smaller in other ways than by its neurons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...utils.narration import tell
from ...utils.terminal import folded
from ..options.names import options_named
from .arguments import PruneArguments


if TYPE_CHECKING:
    from ...data.datasets import TextClassificationData
    from ...pruning.layers.dropping import LayerDropping
    from ...pruning.record.latency_schema import SpeedupSearch
    from ...pruning.vocabulary.trimming import VocabularyTrimming


def check_layers_option(args: PruneArguments, model) -> None:
    """`ValueError` for a number of layers to keep that the encoder of `model` cannot be cut to."""
    from ...groups.layers import check_number

    if args.keep_layers is not None:
        with options_named(type(args)):
            check_number(model, args.keep_layers)


def check_vocabulary_option(args: PruneArguments, model, tokenizer) -> None:
    """`ValueError` if the vocabulary is to be trimmed and cannot be: before anything is measured."""
    from ...pruning.vocabulary.trimming import check_vocabulary

    if args.trim_vocabulary:
        try:
            check_vocabulary(model, tokenizer)
        except ValueError as error:
            raise ValueError(f"--trim_vocabulary: {error}") from None


def layers_to_keep(args: PruneArguments, model, search: SpeedupSearch | None) -> int | None:
    """How many layers were asked for, or have to be enough for the speed that was; `None` for all."""
    if args.keep_layers is None and search is not None and search.taken.layers < model.config.num_hidden_layers:
        return search.taken.layers
    return args.keep_layers


def drop_layers_as_asked(number: int | None, model, batches) -> LayerDropping | None:
    """Leaves `number` layers of `model`, in place, if that was asked for, and prints what it cost."""
    from ...pruning.layers.dropping import keep_layers

    if number is None:
        return None
    dropping = keep_layers(model, batches, number)
    tell(folded(str(dropping)))
    return dropping


def trim_as_asked(
    args: PruneArguments, model, tokenizer, data: TextClassificationData, held_out: str
) -> tuple[Any, VocabularyTrimming | None]:
    """
    Trims the vocabulary of `model`, in place, if that was asked for, to all training texts, and prints what it costs
    on the split `held_out`.

    Returns:
        `tuple`: the tokenizer to save, and what was done.
    """
    from ...pruning.vocabulary.trimming import trim_vocabulary

    if not args.trim_vocabulary:
        return tokenizer, None
    tokenizer, trimming = trim_vocabulary(model, tokenizer, data.texts("train"), data.texts(held_out))
    tell(folded(str(trimming)))
    return tokenizer, trimming


def check_fits(model, dtype) -> None:
    """`ValueError` for weights of `model` that `dtype` would make infinite."""
    import torch

    most = torch.finfo(dtype).max
    for name, values in model.state_dict().items():
        if values.is_floating_point() and values.numel() and values.abs().max() > most:
            short = str(dtype).removeprefix("torch.")
            raise ValueError(
                f"--dtype {short}: {name} has values beyond {most:,.0f}, which would be infinite; must be float32 or "
                "bfloat16 for this model."
            )


def dtype_to_save(args: PruneArguments, config):
    """The `torch.dtype` that was asked for, or that of the checkpoint."""
    import torch

    return (config.dtype or torch.float32) if args.dtype == "auto" else getattr(torch, args.dtype)
