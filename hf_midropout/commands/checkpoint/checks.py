"""What commands on a trained classifier check of it, and of how rows are to be read, before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from ...choices import FEWEST_TOKENS
from ...utils.listing import listed
from ...utils.local_paths import check_dataset_name, is_meant_as_path, missing_path


DEFAULT_MAX_LENGTH = 128
SPLITS = ("train", "validation", "test")


class RowsArguments(Protocol):
    """Options on how rows are read, which several commands have."""

    dataset: str | None
    batch_size: int
    max_length: int | None


def check_rows(args: RowsArguments) -> None:
    """`ValueError` for an option on how rows are read whose value makes no sense by itself."""
    if args.batch_size < 1:
        raise ValueError(f"--batch_size {args.batch_size}: must be 1 or more.")
    if args.max_length is not None and args.max_length < FEWEST_TOKENS:
        raise ValueError(
            f"--max_length {args.max_length}: must be {FEWEST_TOKENS} or more, two of which are special tokens."
        )
    check_dataset_name(args.dataset)


def check_seed(seed: int, bits: int = 64) -> None:
    """`ValueError` for a `--seed` that generators of random numbers do not take."""
    if not 0 <= seed < 2**bits:
        raise ValueError(f"--seed {seed}: must be at least 0 and less than 2**{bits}.")


def check_split_name(split: str | None) -> None:
    """`ValueError` for a `--split` that no data have."""
    if split is not None and split not in SPLITS:
        raise ValueError(f"--split {split}: must be one of {', '.join(SPLITS)}.")


def find_checkpoint(name: str, trust_remote_code: bool = False, option: str = "checkpoint") -> Path:
    """
    The folder with a checkpoint: a local one, that in the output of `hf-midropout train`, or one pulled from the Hub.
    Messages name the `option` that it was given with.

    Raises:
        `ValueError`: if there is none by this name, here or on the Hub, or if it is refused.
        [`HubError`]: if the Hub refused, failed or could not be reached.
    """
    from ...checkpoints.checks import checkpoint_folder

    path = Path(name).expanduser()
    if name.strip() and path.is_dir():
        name = str(checkpoint_folder(path))
    elif name.strip() and path.exists():
        raise ValueError(f"--{option} {name}: this is a file; name the folder that holds the checkpoint.")
    elif is_meant_as_path(name):
        raise ValueError(f"--{option} {name}: {missing_path(name)} Nor is it an id on the Hub, such as user/model.")

    from huggingface_hub.errors import LocalEntryNotFoundError

    from ...hub.publishing import pull
    from ...utils.hub_errors import HubError

    try:
        return pull(name, trust_remote_code=trust_remote_code)
    except (HubError, LocalEntryNotFoundError) as error:
        offline = "there is no such folder, and HF_HUB_OFFLINE is set."
        why = offline if isinstance(error, LocalEntryNotFoundError) else str(error)
        raise HubError(f"--{option} {name}: {why}") from error


def config_of(folder: Path, trust_remote_code: bool = False):
    """
    The config of the checkpoint in `folder`.

    Raises:
        `ValueError`: if it cannot be loaded.
    """
    from transformers import AutoConfig

    from ...checkpoints.loading import loading

    with loading(folder):
        return AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)


def skeleton_of(config, trust_remote_code: bool = False):
    """
    The classifier of a `config`, without weights.

    Raises:
        `ValueError`: if there is none with such settings.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    from ...checkpoints.loading import loading

    with loading(config.name_or_path), torch.device("meta"):
        return AutoModelForSequenceClassification.from_config(config, trust_remote_code=trust_remote_code)


def tokens_to_cut_to(max_length: int | None, model, folder: Path) -> int:
    """
    `max_length`, or as many as texts were cut to when the checkpoint in `folder` was made, by its report, or a
    default; of these two, no more than the model has positions for.

    Raises:
        `ValueError`: for more tokens than the model has positions for.
    """
    limit = position_limit(model)
    if max_length is None:
        usual = length_in_report(folder) or DEFAULT_MAX_LENGTH
        return min(usual, limit or usual)
    if limit is not None and max_length > limit:
        raise ValueError(f"--max_length {max_length}: the model has positions for {limit:,} tokens.")
    return max_length


def length_in_report(folder: Path) -> int | None:
    """Tokens that the report in `folder`, which may be a stranger's, says that texts were cut to."""
    from ...reporting.report import Report

    try:
        report = Report.load(folder, arrays=False)
    except (ValueError, OSError):  # whoever asks for the report is told what is wrong with it
        return None
    length = report.data.max_length if report is not None else None
    return length if length is not None and length >= FEWEST_TOKENS else None


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
        numbers = all(name.isdecimal() for name in label_names)
        advice = " Give the data's numbers their names with --label_names." if numbers else ""
        place = next(place for place, pair in enumerate(zip(label_names, names, strict=True)) if pair[0] != pair[1])
        raise ValueError(
            f"The data's classes are {listed(label_names)}, the model's are {listed(names)}: must be the same, in the "
            f"same order; class {place} is {label_names[place]!r} in the data and {names[place]!r} in the model."
            f"{advice}"
        )


def check_problem_type(name: str, config, option: str = "checkpoint") -> None:
    """`ValueError` for a model, given with `option`, that does not tell one class from the others."""
    from ...scoring.problem_types import find_problem_type

    problem_type = find_problem_type(config)
    if problem_type != "single_label_classification":
        raise ValueError(f"--{option} {name}: it is for {problem_type!r}; must be a classifier with one class a row.")


def check_builtin_labels(id2label: dict[int, str]) -> None:
    """`ValueError` if the model is for other classes than the built-in data, which no dataset stands for."""
    from ...data.builtin import AREAS

    try:
        check_label_names(id2label, list(AREAS))
    except ValueError as error:
        raise ValueError(f"Without --dataset, the built-in data are taken, which do not fit. {error}") from error
