"""Tells names that are meant as local paths from ids on the Hub, and says what is near a path that does not exist."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection
from pathlib import Path


DATA_SUFFIXES = (".parquet", ".csv", ".tsv", ".json", ".jsonl")


def check_dataset_name(name: str | None) -> None:
    """`ValueError` for a dataset that is meant as a local path and does not exist. Loads no large library."""
    if (
        name is None
        or (name.strip() and Path(name).expanduser().exists())
        or not is_meant_as_path(name, DATA_SUFFIXES)
    ):
        return
    raise ValueError(
        f"{missing_path(name)} A dataset is a local folder or file, the id of a dataset on the Hugging Face Hub such "
        "as fancyzhx/ag_news, or 'python-docs' (built in)."
    )


def is_meant_as_path(name: str, suffixes: Collection[str] = ()) -> bool:
    """
    Whether `name`, which does not exist locally, is meant as a path all the same: it is written as one, cannot be an
    id on the Hub, ends in one of `suffixes` (lower case), or lies in a folder that exists.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    path = Path(name).expanduser()
    if name.startswith((".", "~")) or path.is_absolute() or path.suffix.lower() in suffixes:
        return True
    try:
        validate_repo_id(name)
    except HFValidationError:
        return True
    return len(path.parts) > 1 and path.parent.is_dir()


def missing_path(name: str) -> str:
    """A sentence that says that there is no file or folder `name`, and what there is of a similar name."""
    path = Path(name).expanduser()
    if not name.strip():
        return f"The name {name!r} is empty."
    place = path.parent
    if not place.is_dir():
        missing = next((folder for folder in reversed(path.parents) if not folder.exists()), place)
        if not missing.exists():
            return f"There is no file or folder {name!r}: the folder {str(missing)!r} does not exist."
        return f"There is no file or folder {name!r}: {str(place)!r} is no folder."
    try:
        names = sorted(os.listdir(place))
    except OSError as error:
        return f"There is no file or folder {name!r} that can be seen: {error.strerror}."
    folded = {entry.casefold(): entry for entry in names}
    near = [folded[entry] for entry in difflib.get_close_matches(path.name.casefold(), folded, n=3)]
    hint = f" Near names in its folder: {', '.join(near)}." if near else ""
    return f"There is no file or folder {name!r}.{hint}"
