"""The model and the tokenizer that `hf-midropout train` starts from, and whether they fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...checkpoints.checks import checkpoint_folder, read_json
from ...checkpoints.loading import load_checked_tokenizer
from ...model_types import HEAD_ARCHITECTURES, is_uneven, position_limit, stock_type
from ...utils.tokenizer_files import VOCABULARY_FILES
from .arguments import TrainArguments
from .head import check_head, head_options, hidden_size
from .tokenizer_checks import check_texts, check_tokenizer, sample_of_texts


TINY_HIDDEN_SIZE = 128


def find_model(args: TrainArguments) -> tuple[Path | None, str]:
    """
    The folder with the checkpoint that `--model` names, fetched from the Hub if it is there, and which of the two:
    `"local"` or `"hub"`; `None` and `"builtin"` without one.

    Raises:
        `ValueError`: if there is none, or it is not a whole checkpoint with safetensors and a tokenizer, of an
            architecture that a MI-Dropout head can be put on.
        `OSError`: if the Hub could not be reached.
    """
    if args.model is None:
        return None, "builtin"
    from ...hub.publishing import pull

    named = f"--model {args.model}"
    source = "local" if os.path.exists(args.model) else "hub"
    try:
        folder = pull(str(checkpoint_folder(args.model)) if source == "local" else args.model)
        config = read_json(folder / "config.json")
    except ValueError as error:
        raise ValueError(f"{named}: {str(error).removeprefix(f'{args.model}: ')}") from None
    except OSError as error:
        raise OSError(f"{named}: {error}") from error
    kind = config.get("model_type")
    if stock_type(kind) is None:
        raise ValueError(f"{named}: its model_type is {kind!r}; must be one of {', '.join(HEAD_ARCHITECTURES)}.")
    if is_uneven(kind):
        raise ValueError(
            f"{named}: its layers have different widths, and a MI-Dropout head goes on others only; give the model "
            "that it was pruned from."
        )
    if not any((folder / name).is_file() for name in VOCABULARY_FILES):
        raise ValueError(
            f"{named}: it has no tokenizer (one of {', '.join(VOCABULARY_FILES)}), without which its token ids mean "
            "nothing."
        )
    limit = position_limit(config)
    if args.max_length is not None and limit is not None and args.max_length > limit:
        raise ValueError(f"--max_length {args.max_length}: {args.model} takes at most {limit} tokens.")
    return folder, source


def tokenizer_and_model(args: TrainArguments, folder: Path | None, data):
    """
    From the checkpoint in `folder`, or made on the spot.

    Raises:
        `ValueError`: for a tokenizer that does not fit the model or the texts, a head that cannot be had, or weights
            that lack a part.
    """
    check_head(args, TINY_HIDDEN_SIZE if folder is None else hidden_size(read_json(folder / "config.json")))
    head = head_options(args, len(data.splits["train"]))
    if folder is None:
        from ...models.builtin import tiny_tokenizer_and_model

        return tiny_tokenizer_and_model(data, **head)
    try:
        tokenizer = load_checked_tokenizer(folder)
    except ValueError as error:
        raise ValueError(f"--model {args.model}: {error}") from error
    model = load_model(args, folder, data.label_names, head)
    check_tokenizer(f"--model {args.model}", tokenizer, model.config.vocab_size)
    check_texts(f"--model {args.model}", tokenizer, sample_of_texts(data))
    return tokenizer, model


def load_model(args: TrainArguments, folder: Path, label_names: list[str], head: dict[str, Any]):
    """The model in `folder`, with a head for `label_names`: a new one, unless the checkpoint is of MIDropout."""
    from ...models.from_checkpoint import load_with_head

    stock = str(stock_type(read_json(folder / "config.json")["model_type"]))
    try:
        model, lacking = load_with_head(
            folder,
            stock,
            num_labels=len(label_names),
            id2label=dict(enumerate(label_names)),
            label2id={name: index for index, name in enumerate(label_names)},
            **head,
        )
    except (OSError, RuntimeError, KeyError) as error:
        if "mismatch" in str(error):
            raise ValueError(
                f"--model {args.model}: its head has other widths or classes than this run, which has "
                f"{len(label_names)} classes. Start from a checkpoint without a head of MIDropout, or leave out "
                "--head_widths."
            ) from error
        raise ValueError(f"--model {args.model}: it cannot be loaded: {first_line(error)}") from error
    if lacking:
        raise ValueError(
            f"--model {args.model}: its weights lack {len(lacking)} of the encoder's, such as {lacking[0]}."
        )
    return model


def first_line(error: BaseException) -> str:
    """What an error says, shortened."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
