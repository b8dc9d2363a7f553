"""Finds and reads the splits of a dataset: a saved dataset, a folder of data files, one file, or a Hub id."""

from __future__ import annotations

import json
import re
from pathlib import Path

import datasets


# The `load_dataset` builder and its options, by file suffix. Only empty cells count as missing: by default, texts such
# as "None", "NA" or "null" would too.
_CSV = {"keep_default_na": False, "na_values": [""]}
FORMATS = {
    ".parquet": ("parquet", {}),
    ".csv": ("csv", _CSV),
    ".tsv": ("csv", {**_CSV, "sep": "\t"}),
    ".json": ("json", {}),
    ".jsonl": ("json", {}),
}
# `train`, `train-00000-of-00002`, `train0`, `train_1` and `train.clean` are train; `train_desc_only` is not.
_SPLIT_FILE = re.compile(r"(train|validation|valid|val|dev|test)(?:$|[-.\d]|_\d+$)")


def _read_files(paths: list[Path], split: str) -> datasets.Dataset:
    """Reads data files of one format as one dataset."""
    formats = sorted({path.suffix.lower() for path in paths})
    if len(formats) > 1:
        raise ValueError(
            f"{', '.join(path.name for path in paths)} are files of one split in different formats "
            f"({', '.join(formats)}). Keep one format, so that no row is read twice."
        )
    builder, options = FORMATS[formats[0]]
    files = [str(path) for path in paths]
    try:
        # One split at a time: together, they would have to share the first one's columns and types.
        return datasets.load_dataset(builder, data_files=files, split="train", **options)
    except Exception as error:
        if "corresponds to no data" in str(error):
            raise ValueError(f"Split {split!r} is empty: there are no rows in {', '.join(files)}.") from error
        raise ValueError(
            f"{', '.join(files)} cannot be read as {builder}: {_reason(error.__cause__ or error)}"
        ) from error


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {(str(error).strip() or 'no message').splitlines()[0]}"


def _read_folder(folder: Path) -> tuple[dict[str, datasets.Dataset], list[str]]:
    """Reads the data files of a folder, or of its `data` folder, where Hub repositories keep them."""
    names: set[str] = set()
    for place in (folder, folder / "data"):
        files = sorted(path for path in place.glob("*") if path.suffix.lower() in FORMATS and path.is_file())
        matches = {path: _SPLIT_FILE.match(path.name[: -len(path.suffix)].lower()) for path in files}
        names.update(path.name for path in files)
        if any(matches.values()):
            break
    else:
        raise ValueError(
            f"No split was found in the folder {str(folder)!r}: it is no `save_to_disk` folder, and has no "
            f"{', '.join(FORMATS)} file named after a split (train, validation, valid, val, dev, test). "
            f"Data files in it: {', '.join(sorted(names)) or 'none'}."
        )
    notes: list[str] = []
    groups: dict[str, list[Path]] = {}
    for path, match in matches.items():
        if match:
            groups.setdefault(match[1], []).append(path)
        else:
            notes.append(f"{path.name}: ignored, as its name is not that of a split")
    for split, paths in groups.items():
        if len(paths) > 1:
            notes.append(f"{split}: read from {len(paths)} files ({', '.join(path.name for path in paths)})")
    return {split: _read_files(paths, split) for split, paths in groups.items()}, notes


def read_splits(name: str, subset: str | None = None) -> tuple[dict[str, datasets.Dataset], list[str]]:
    """
    Reads every split of a dataset as it is, under the split's own name.

    Args:
        name (`str`):
            A `save_to_disk` folder, a folder of data files named after splits, one data file, or a Hub dataset id.
            What exists locally is taken before the Hub.
        subset (`str`, *optional*):
            The configuration of a Hub dataset, as `"sst2"` of `"glue"`.

    Returns:
        `tuple[dict[str, datasets.Dataset], list[str]]`: The splits by name, and notes on what was done.

    Raises:
        `ValueError`: If nothing can be read under this name, or if `subset` is given for local data.
    """
    path = Path(name).expanduser()
    if path.exists() and subset is not None:
        raise ValueError(
            f"subset={subset!r} is for Hub datasets, but {name!r} is a local path: name the subset's path."
        )
    if path.is_file():
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"{name!r} has the suffix {path.suffix!r}; allowed are {', '.join(FORMATS)}.")
        return {"train": _read_files([path], "train")}, [f"train: all rows of the single file {path.name}"]
    if path.is_dir():
        is_dataset = (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
        if not is_dataset and not (path / "dataset_dict.json").is_file():
            return _read_folder(path)
        try:
            loaded = datasets.load_from_disk(str(path))
        except Exception as error:
            # `datasets` saves splits without rows, but fails with an IndexError when it loads them.
            states = {item.parent.name: json.loads(item.read_text()) for item in sorted(path.glob("**/state.json"))}
            for split in (split for split, state in states.items() if not state.get("_data_files")):
                raise ValueError(f"Split {split!r} is empty: it was saved without rows in {name!r}.") from error
            raise ValueError(f"The `save_to_disk` folder {name!r} cannot be read: {_reason(error)}") from error
        if isinstance(loaded, datasets.Dataset):
            return {"train": loaded}, ["train: all rows of the saved dataset, which has no splits"]
        return dict(loaded), []
    try:
        return dict(datasets.load_dataset(name, subset)), []
    except Exception as error:
        # No network, no such repository, a private one, a missing subset: the remedy is in the original message.
        which = repr(name) if subset is None else f"{name!r} (subset {subset!r})"
        raise ValueError(
            f"The dataset {which} could not be loaded. Allowed are a local folder or file, the id of a dataset on the "
            "Hugging Face Hub, and 'python-docs' (built in). It is no local path, and loading it from the Hub gave "
            f"{_reason(error)}"
        ) from error
