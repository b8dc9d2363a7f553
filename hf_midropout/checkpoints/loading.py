"""
Loads models and tokenizers of checkpoints that may come from a stranger.

Whatever transformers raises over a foreign file (a `KeyError` for an activation function, a `RuntimeError` for shapes,
an exception of Rust for a tokenizer) becomes one refusal.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..utils.hub_errors import HubError
from ..utils.json_files import read_json
from ..utils.terminal import one_line
from ..utils.tokenizer_files import VOCABULARY_FILES
from .checks import check_checkpoint
from .config_checks import check_implementation
from .size_checks import Weights


WITHOUT_FILES = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")
"""Whose vocabulary is that of bytes or of characters."""


@contextmanager
def loading(what: str | os.PathLike) -> Iterator[None]:
    """
    Context manager for calls that load `what` or first use it: any exception in it becomes a `ValueError` of one
    sentence, which keeps the original as its cause.

    Args:
        what (`str` or `os.PathLike`): The checkpoint, as the user named it.
    """
    try:
        yield
    except (HubError, Refused):
        raise
    except MemoryError as error:
        raise ValueError(f"{what} cannot be loaded: it needs more memory than there is.") from error
    except Exception as error:
        # The first line may only say that there is an error, and the others which.
        said = one_line(" ".join(str(error).split()), 300)
        reason = f"{type(error).__name__}: {said}" if said else type(error).__name__
        raise ValueError(f"{what} cannot be loaded: {reason}") from error
    except BaseException as error:
        # Rust's panics are no Exception.
        if type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{what} cannot be loaded: {one_line(error, 300)}") from error


class Refused(ValueError):
    """A checkpoint that loads, and is not what it should be."""


def load_checked_model(folder: str | os.PathLike, *, trust_remote_code: bool = False, whole: bool = True, **options):
    """
    The classifier in `folder`, checked by [`check_checkpoint`] before it is loaded.

    Args:
        folder (`str` or `os.PathLike`): A local folder with a checkpoint.
        trust_remote_code (`bool`, *optional*, defaults to `False`): As in [`check_checkpoint`].
        whole (`bool`, *optional*, defaults to `True`): Refuse a checkpoint that lacks weights of the model, which
            transformers would draw at random.
        options (`dict`): Of `AutoModelForSequenceClassification.from_pretrained`.

    Returns:
        [`~transformers.PreTrainedModel`]: in eval mode.

    Raises:
        `ValueError`: if it is refused or cannot be loaded.
    """
    weights = check_checkpoint(folder, trust_remote_code=trust_remote_code)
    with loading(folder):
        from transformers import AutoConfig, AutoModelForSequenceClassification

        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
        check_loaded_config(config)
        check_parameters(config, weights, trust_remote_code)
        model, info = AutoModelForSequenceClassification.from_pretrained(
            folder, config=config, trust_remote_code=trust_remote_code, output_loading_info=True, **options
        )
        missing = sorted(info["missing_keys"])
        if whole and missing:
            raise Refused(
                f"{folder} lacks weights of its model: {one_line(', '.join(missing[:3]))}"
                f"{f' and {len(missing) - 3} more' if len(missing) > 3 else ''}. Is it a classifier's checkpoint?"
            )
        return model.eval()


def check_loaded_config(config) -> None:
    """`ValueError` if a config, or one inside it, ended up with an implementation that is not transformers' own."""
    for part in [config, *(getattr(config, name, None) for name in getattr(config, "sub_configs", {}))]:
        for name in ("_attn_implementation", "_experts_implementation"):
            check_implementation(name, getattr(part, name, None))


def check_parameters(config, weights: Weights, trust_remote_code: bool) -> None:
    """
    Builds the model without memory, and refuses it if it has far more parameters than `weights`: transformers would
    fill them with random numbers before anyone could see that they are missing.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"), torch.random.fork_rng(devices=[]):
        empty = AutoModelForSequenceClassification.from_config(config, trust_remote_code=trust_remote_code)
    asked = sum(tensor.numel() for tensor in [*empty.parameters(), *empty.buffers()])
    there = weights.parameters()
    if asked > 2 * there + 2**22:
        raise Refused(f"config.json asks for {asked:,} parameters: the weights hold {there:,}.")


def load_checked_tokenizer(folder: str | os.PathLike, *, trust_remote_code: bool = False, **options) -> Any:
    """
    The tokenizer in `folder`, tried on one text; the folder must have passed [`check_checkpoint`].

    Args:
        folder (`str` or `os.PathLike`): A local folder with a checkpoint.
        trust_remote_code (`bool`, *optional*, defaults to `False`): As in [`check_checkpoint`].
        options (`dict`): Of `AutoTokenizer.from_pretrained`.

    Raises:
        `ValueError`: if it is broken, or there is none.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        path = folder / "tokenizer_config.json"
        if not path.is_file() or read_json(path).get("tokenizer_class") not in WITHOUT_FILES:
            raise ValueError(f"{folder} has no tokenizer: must hold one of {', '.join(VOCABULARY_FILES)}.")
    with loading(f"The tokenizer in {folder}"):
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=trust_remote_code, **options)
        tokenizer("A text.")
        return tokenizer
