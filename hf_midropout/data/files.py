"""Finds and reads the splits of a dataset: a saved dataset, a folder of data files, one file, or a Hub id."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets

from ..utils.listing import listed
from ..utils.local_paths import check_dataset_name
from .text_advice import explain_text_error, reason_of
from .text_files import TextFileOptions, check_csv, column_names


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
_SPLIT_FOLDERS = ("train", "validation", "valid", "val", "dev", "test")
_SPLIT_FILE = re.compile(rf"({'|'.join(_SPLIT_FOLDERS)})(?:$|[-.\d]|_\d+$)")


@dataclass
class RawSplits:
    """
    What was read, as it is.

    Args:
        splits (`dict[str, datasets.Dataset]`): By the split's own name.
        notes (`list[str]`): What was done, a sentence each.
        source (`str`): `"hub"` or `"local"`.
        column_hint (`str`): What to add where no text or label column is found.
    """

    splits: dict[str, datasets.Dataset]
    notes: list[str] = field(default_factory=list)
    source: str = "local"
    column_hint: str = ""


def _read_files(paths: list[Path], split: str, options: TextFileOptions, raw: RawSplits) -> None:
    """Reads data files of one format as one dataset into `raw`."""
    formats = sorted({path.suffix.lower() for path in paths})
    if len(formats) > 1:
        raise ValueError(
            f"{listed(paths, lambda path: path.name)} are files of one split in different formats "
            f"({', '.join(formats)}). Keep one format, so that no row is read twice."
        )
    builder, defaults = FORMATS[formats[0]]
    given: dict[str, Any] = dict(defaults)
    sep = given.get("sep", ",")
    for path in paths:
        options.check_applies(path.name, formats[0])
        if builder == "csv":
            first = check_csv(path, options, sep)
            if options.column_names:
                shown = listed(first, lambda value: repr(value[:40]))
                raw.notes.append(f"{split}: columns named as told; the first row of {path.name} is {shown}")
    if builder == "csv":
        given |= {**options.for_csv(sep), "column_names": options.column_names}
        raw.column_hint = (
            f" Should the first line of {paths[0].name} be a row and no header, name its columns with `column_names`."
        )
    elif options.encoding:
        given["encoding"] = options.encoding
    files = [str(path) for path in paths]
    try:
        try:
            # One split at a time: together, they would have to share the first one's columns and types.
            raw.splits[split] = datasets.load_dataset(builder, data_files=files, split="train", **given)
        except datasets.exceptions.DatasetGenerationError as error:
            if "Failed to parse string" not in reason_of(error.__cause__ or error):
                raise
            # Types are taken from the first 10,000 rows, and here a later one holds text where those hold numbers.
            columns = column_names(paths[0], options, sep)
            given["features"] = datasets.Features({name: datasets.Value("string") for name in columns})
            raw.splits[split] = datasets.load_dataset(builder, data_files=files, split="train", **given)
            raw.notes.append(f"{split}: columns read as text, as one of them mixes numbers and text")
    except Exception as error:
        if "corresponds to no data" in str(error):
            raise ValueError(f"Split {split!r} is empty: there are no rows in {listed(files)}.") from error
        why = explain_text_error(paths[0], error, **options.for_csv(sep))
        if "Multiple matches for FieldRef" in why:
            why = f"several of its columns have the same name ({why})"
        raise ValueError(f"{listed(files)} cannot be read as {builder}: {why}") from error


def _read_folder(folder: Path, options: TextFileOptions) -> RawSplits:
    """
    Reads the data files of a folder, or of its `data` folder, where Hub repositories keep them. Not with
    `load_dataset(folder)`, which takes `train_old.csv` for a part of train, leaves files of a second format out
    without a word, and needs the same columns and types in all splits.
    """
    raw = RawSplits({})
    names: set[str] = set()
    groups: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        files = _data_files(place)
        names.update(path.name for path in files)
        for path in files:
            match = _SPLIT_FILE.match(path.name[: -len(path.suffix)].lower())
            if match:
                groups.setdefault(match[1], []).append(path)
            else:
                raw.notes.append(f"{path.name}: ignored, as its name is not that of a split")
        for inner in sorted(path for path in place.glob("*") if path.name.lower() in _SPLIT_FOLDERS and path.is_dir()):
            split, files = inner.name.lower(), _data_files(inner)
            if files and split in groups:
                raise ValueError(
                    f"Split {split!r} is twice in {str(place)!r}: {groups[split][0].name}, and the folder "
                    f"{inner.name} ({listed(files, lambda path: path.name)}). Keep one, so that no row is read twice."
                )
            groups.update({split: files} if files else {})
        if groups:
            break
        raw.notes.clear()
    if not groups:
        raise ValueError(
            f"No split was found in the folder {str(folder)!r}: it is no `save_to_disk` folder, and has no "
            f"{', '.join(FORMATS)} file named after a split ({', '.join(_SPLIT_FOLDERS)}) or in a folder named so. "
            f"Data files in it: {listed(sorted(names)) or 'none'}."
        )
    for split, paths in groups.items():
        if len(paths) > 1:
            shown = listed(paths, lambda path: path.name)
            raw.notes.append(f"{split}: read from {len(paths)} files ({shown})")
        _read_files(paths, split, options, raw)
    return raw


def _data_files(folder: Path) -> list[Path]:
    """The files directly in `folder`, if there is one, whose format is known."""
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in FORMATS and path.is_file())


def _read_saved(path: Path) -> RawSplits:
    """Reads a `save_to_disk` folder."""
    try:
        loaded = datasets.load_from_disk(str(path))
    except Exception as error:
        for split in _splits_without_rows(path):
            raise ValueError(f"Split {split!r} is empty: it was saved without rows in {str(path)!r}.") from error
        raise ValueError(f"The `save_to_disk` folder {str(path)!r} cannot be read: {reason_of(error)}") from error
    if isinstance(loaded, datasets.Dataset):
        return RawSplits({"train": loaded}, ["train: all rows of the saved dataset, which has no splits"])
    return RawSplits(dict(loaded))


def _splits_without_rows(path: Path) -> list[str]:
    """`datasets` saves splits without rows, but fails with an IndexError when it loads them."""
    found = []
    for file in sorted(path.glob("**/state.json")):
        try:
            state = json.loads(file.read_text(encoding="utf-8"))
        except ValueError:  # it is what is broken, as the error of loading says
            continue
        if isinstance(state, dict) and not state.get("_data_files"):
            found.append(file.parent.name)
    return found


def read_splits(name: str, subset: str | None = None, options: TextFileOptions | None = None) -> RawSplits:
    """
    Reads every split of a dataset as it is, under the split's own name.

    Args:
        name (`str`):
            A `save_to_disk` folder, a folder of data files named after splits, one data file, or a Hub dataset id.
            What exists locally is taken before the Hub.
        subset (`str`, *optional*):
            The configuration of a Hub dataset, as `"sst2"` of `"glue"`.
        options ([`TextFileOptions`], *optional*):
            How csv, tsv and json files are to be read.

    Returns:
        [`RawSplits`]: The splits by name, where they come from, and notes on what was done.

    Raises:
        `ValueError`: If nothing can be read under this name, or if an option is given that does not apply to it.
    """
    options = options or TextFileOptions()
    path = Path(name).expanduser()
    exists = bool(name.strip()) and path.exists()
    if exists and subset is not None:
        raise ValueError(
            f"subset={subset!r} is for Hub datasets, but {name!r} is a local path: name the subset's path."
        )
    if exists and path.is_dir():
        saved = (path / "dataset_info.json").is_file() and (path / "state.json").is_file()
        if not saved and not (path / "dataset_dict.json").is_file():
            return _read_folder(path, options)
        options.check_applies(name, None)
        return _read_saved(path)
    if exists:
        if path.suffix.lower() not in FORMATS:
            raise ValueError(f"{name!r} has the suffix {path.suffix!r}; allowed are {', '.join(FORMATS)}.")
        raw = RawSplits({}, [f"train: all rows of the single file {path.name}"])
        _read_files([path], "train", options, raw)
        return raw
    check_dataset_name(name)
    options.check_applies(name, None)
    try:
        return RawSplits(dict(datasets.load_dataset(name, subset)), source="hub")
    except Exception as error:
        # No network, no such repository, a private one, a missing subset: the remedy is in the original message.
        which = repr(name) if subset is None else f"{name!r} (subset {subset!r})"
        raise ValueError(
            f"The dataset {which} could not be loaded. Allowed are a local folder or file, the id of a dataset on the "
            "Hugging Face Hub, and 'python-docs' (built in). It is no local path, and loading it from the Hub gave "
            f"{reason_of(error)}"
        ) from error
