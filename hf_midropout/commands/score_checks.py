"""What is wrong with a `hf-midropout score` is said before anything is loaded or computed, as far as it can be."""

from __future__ import annotations

import json
from pathlib import Path

from ..utils.listing import listed
from ..utils.local_paths import check_dataset_name, is_meant_as_path, missing_path
from .option_names import options_named
from .output_files import check_output_file
from .score_arguments import ScoreArguments


SPLITS = ("train", "validation", "test")
DEFAULT_MAX_LENGTH = 128


def check_arguments(args: ScoreArguments) -> None:
    """`ValueError` for an option whose value makes no sense by itself."""
    if args.split not in SPLITS:
        raise ValueError(f"--split {args.split}: must be one of {', '.join(SPLITS)}.")
    if args.max_samples < 0 or args.max_samples == 1:
        raise ValueError(f"--max_samples {args.max_samples}: must be 2 or more, or 0 for all rows.")
    if args.batch_size < 1:
        raise ValueError(f"--batch_size {args.batch_size}: must be 1 or more.")
    if not 0 <= args.seed < 2**64:
        raise ValueError(f"--seed {args.seed}: must be at least 0 and less than 2**64.")
    if args.max_length is not None and args.max_length < 3:
        raise ValueError(f"--max_length {args.max_length}: must be 3 or more, two of which are special tokens.")
    check_dataset_name(args.dataset)
    check_output_file("output", args.output, (".json",))
    check_output_file("figure", args.figure, (".png",))
    if args.output and Path(args.output).is_file() and not holds_scores(Path(args.output)):
        raise ValueError(f"--output {args.output}: this file exists and holds no scores; name another.")


def holds_scores(path: Path) -> bool:
    """Whether a file is empty or was written by this command."""
    try:
        content = json.loads(path.read_text(encoding="utf-8") or "{}")
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and (not content or {"problem_type", "layers", "num_samples"} <= content.keys())


def find_checkpoint(name: str, trust_remote_code: bool = False) -> Path:
    """
    The folder with a checkpoint: a local one, that in the output of `hf-midropout train`, or one pulled from the Hub.

    Raises:
        `ValueError`: if there is none by this name, here or on the Hub, or if it is refused.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    from ..checkpoints.checks import checkpoint_folder

    path = Path(name).expanduser()
    if name.strip() and path.is_dir():
        name = str(checkpoint_folder(path))
    elif name.strip() and path.exists():
        raise ValueError(f"--checkpoint {name}: this is a file; name the folder that holds the checkpoint.")
    elif is_meant_as_path(name):
        raise ValueError(f"--checkpoint {name}: {missing_path(name)} Nor is it an id on the Hub, such as user/model.")

    from huggingface_hub.errors import LocalEntryNotFoundError

    from ..hub.publishing import pull
    from ..utils.hub_errors import HubError

    try:
        return pull(name, trust_remote_code=trust_remote_code)
    except (HubError, LocalEntryNotFoundError) as error:
        offline = "there is no such folder, and HF_HUB_OFFLINE is set."
        why = offline if isinstance(error, LocalEntryNotFoundError) else str(error)
        raise HubError(f"--checkpoint {name}: {why}") from error


def check_skeleton(args: ScoreArguments, config) -> int:
    """
    Checks what depends on the model's shape, on a model without weights.

    Returns:
        `int`: the number of tokens to cut texts to.

    Raises:
        `ValueError`: for `--targets` or `--layers` that the model has none of, and more tokens than it has positions
            for.
    """
    from ..scoring.taps import Taps

    skeleton = skeleton_of(config, args.trust_remote_code)
    with options_named(type(args)):
        Taps(skeleton, args.layers, args.targets)
    return tokens_to_cut_to(args.max_length, skeleton)


def skeleton_of(config, trust_remote_code: bool = False):
    """The classifier of a `config`, without weights."""
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config, trust_remote_code=trust_remote_code)


def tokens_to_cut_to(max_length: int | None, model) -> int:
    """
    `max_length`, or a default that the model has positions for.

    Raises:
        `ValueError`: for more tokens than the model has positions for.
    """
    limit = position_limit(model)
    if max_length is None:
        return min(DEFAULT_MAX_LENGTH, limit or DEFAULT_MAX_LENGTH)
    if limit is not None and max_length > limit:
        raise ValueError(f"--max_length {max_length}: the model has positions for {limit:,} tokens.")
    return max_length


def position_limit(model) -> int | None:
    """Tokens that a model has positions for, by its config; `None` if that does not say."""
    limit = getattr(model.config, "max_position_embeddings", None)
    if not isinstance(limit, int) or limit < 1:
        return None
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and isinstance(padding, int):
            return limit - padding - 1  # RoBERTa's positions begin after that of padding
    return limit


def check_label_names(id2label: dict[int, str], label_names: list[str]) -> None:
    """`ValueError` if the classes of the data are not those of the model, in its order."""
    names = [id2label[index] for index in sorted(id2label)]
    if len(names) != len(label_names):
        raise ValueError(
            f"The data has {len(label_names)} classes ({listed(label_names)}), the model {len(names)} "
            f"({listed(names)})."
        )
    if names != label_names and not all(name.startswith("LABEL_") for name in names):
        place = next(place for place, pair in enumerate(zip(label_names, names, strict=True)) if pair[0] != pair[1])
        raise ValueError(
            f"The data's classes are {listed(label_names)}, the model's are {listed(names)}: must be the same, in the "
            f"same order; class {place} is {label_names[place]!r} in the data and {names[place]!r} in the model."
        )


def check_builtin_labels(id2label: dict[int, str]) -> None:
    """`ValueError` if the model is for other classes than the built-in data, which no dataset stands for."""
    from ..data.builtin import AREAS

    try:
        check_label_names(id2label, list(AREAS))
    except ValueError as error:
        raise ValueError(f"Without --dataset, the built-in data are taken, which do not fit. {error}") from error
