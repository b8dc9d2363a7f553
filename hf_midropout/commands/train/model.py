"""The model and the tokenizer that `hf-midropout train` starts from, and whether they fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ...checkpoints.checks import checkpoint_folder, read_json
from ...checkpoints.loading import TOKENIZER_FILES, load_checked_tokenizer
from ...model_types import HEAD_ARCHITECTURES, is_uneven, position_limit, stock_type
from ..options.names import options_named
from .arguments import TrainArguments


SAMPLE_TEXTS = 200
SAMPLE_CHARACTERS = 2_000
SAMPLE_TOKENS = 512
MOST_UNKNOWN = 0.5
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
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise ValueError(
            f"{named}: it has no tokenizer (one of {', '.join(TOKENIZER_FILES)}), without which its token ids mean "
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


def head_options(args: TrainArguments, rows: int) -> dict[str, Any]:
    """The fields of a configuration that the options set, for so many training rows."""
    names = ("head_widths", "head_activation", "head_dropout", "head_regularizer_weight", "head_samples")
    head = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.head_regularizer is None:
        return head
    from ...regularizers import default_weight

    default = default_weight(args.head_regularizer, rows)
    # A rate or weight of the model's former regularizer says nothing of this one.
    return {
        "head_dropout": None,
        "head_regularizer_weight": default,
        **head,
        "head_regularizer": args.head_regularizer,
    }


def sample_of_texts(data) -> list[str]:
    """Some training texts; of pairs of both kinds."""
    rows = data.splits["train"][:SAMPLE_TEXTS]
    return [text for name in ("text", "text_pair") for text in rows.get(name, [])]


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


def hidden_size(config: dict[str, Any]) -> int:
    """By a `config.json`; 0 if it does not say."""
    value = config.get(HEAD_ARCHITECTURES[str(stock_type(config["model_type"]))].hidden_size)
    return value if isinstance(value, int) else 0


def check_head(args: TrainArguments, hidden_size: int) -> None:
    """`ValueError` for an unknown activation or regularizer, or widths for which there is not enough memory."""
    from transformers.activations import ACT2FN

    from ...regularizers import check_regularizer

    if args.head_activation is not None and args.head_activation not in ACT2FN:
        raise ValueError(f"--head_activation {args.head_activation}: must be one of {', '.join(sorted(ACT2FN))}.")
    if args.head_regularizer is not None or args.model is None:
        with options_named(TrainArguments):
            check_regularizer(args.head_regularizer or "dropout", args.head_dropout, args.head_regularizer_weight)
    widths = args.head_widths or []
    weights = sum(one * other for one, other in zip([hidden_size, *widths], widths, strict=False))
    memory = total_memory()
    # Four numbers of four bytes each: weight, gradient, and two averages of AdamW.
    if memory is not None and 16 * weights > memory:
        raise ValueError(
            f"--head_widths {' '.join(map(str, widths))}: {weights:,} weights and their optimizer's state take "
            f"{16 * weights / 2**30:.0f} GiB, and this machine has {memory / 2**30:.0f}."
        )


def total_memory() -> int | None:
    """Bytes of this machine's memory; `None` where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def check_tokenizer(named: str, tokenizer, vocab_size: int) -> None:
    """`ValueError` if `tokenizer` cannot be the one that a model with `vocab_size` embeddings was trained with."""
    known = len(tokenizer)
    if known > vocab_size:
        raise ValueError(f"{named}: its tokenizer knows {known:,} tokens, the model {vocab_size:,} embeddings.")
    special = len(set(tokenizer.all_special_ids))
    if known < vocab_size / 2 or known <= special:
        raise ValueError(
            f"{named}: its tokenizer knows {known:,} tokens, {special} of them special, but the model has "
            f"{vocab_size:,} embeddings: it is not the tokenizer of that model."
        )
    if tokenizer.pad_token_id is None:
        raise ValueError(f"{named}: its tokenizer has no token for padding.")


def check_texts(named: str, tokenizer, texts: list[str]) -> None:
    """`ValueError` if most of the beginnings of a sample of texts, by characters, is unknown to `tokenizer`."""
    if tokenizer.unk_token_id is None or not tokenizer.is_fast:
        return
    encoded = tokenizer(
        [text[:SAMPLE_CHARACTERS] for text in texts], add_special_tokens=False, return_offsets_mapping=True,
        truncation=True, max_length=SAMPLE_TOKENS,
    )  # fmt: skip
    unknown = total = 0
    for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
        for token, (begin, end) in zip(ids, offsets, strict=True):
            total += end - begin
            unknown += (end - begin) * (token == tokenizer.unk_token_id)
    if total and unknown / total > MOST_UNKNOWN:
        raise ValueError(
            f"{named}: {unknown / total:.0%} of the characters of {len(texts)} training texts are unknown to its "
            "tokenizer: it is for another language, or incomplete."
        )


def first_line(error: BaseException) -> str:
    """What an error says, shortened."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
