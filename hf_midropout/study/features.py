"""What a frozen encoder gives for every text, computed once and kept on disk, as the head of a model reads it."""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import nn
from tqdm.auto import tqdm

from ..pruning.head.inputs import HeadInputs, collect_head_inputs
from ..scoring.batches import batches_for
from ..utils.files import write_bytes


if TYPE_CHECKING:
    from ..data.datasets import TextClassificationData


logger = logging.getLogger(__name__)

SHARD_ROWS = 2048
SPLITS = ("train", "validation", "test")


@dataclass
class Features:
    """
    Args:
        train, validation, test (`HeadInputs`): What the head reads, `[N, hidden_size]` float32, and labels.
    """

    train: HeadInputs
    validation: HeadInputs
    test: HeadInputs


def load_features(path: Path) -> Features:
    """What `encode` wrote; mapped into memory, so that processes share it."""
    tensors = load_file(path)
    return Features(*(HeadInputs(tensors[f"{name}.features"], tensors[f"{name}.labels"]) for name in SPLITS))


def encode(
    model: nn.Module,
    tokenizer,
    data: TextClassificationData,
    max_length: int,
    folder: Path,
    progress: bool = True,
    digest: str | None = None,
) -> Path:
    """
    The file of a dataset's features in `folder`, named after the model's weights, texts, labels and `max_length`. If
    it is not there or cannot be read, it is made; some rows at a time, so that a stop loses little.

    Args:
        model (`PreTrainedModel`): With a MI-Dropout head, which plays no role.
        tokenizer ([`~transformers.PreTrainedTokenizerBase`]): Its tokenizer.
        data (`TextClassificationData`): With a test split.
        max_length (`int`): Tokens that texts are cut to.
        folder (`Path`): Where features are kept.
        progress (`bool`, *optional*, defaults to `True`): Shows progress bars.
        digest (`str`, *optional*): That of [`digest_of`], where it is known.

    Raises:
        `ValueError`: for a dataset without a test split.
    """
    path = feature_file(folder, digest or digest_of(model, data, max_length))
    parts = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):  # another process may be at it
        if not _is_whole(path, {f"{name}.{key}" for name in SPLITS for key in ("features", "labels")}):
            tensors = {}
            for name in SPLITS:
                shards = list(_shards(model, tokenizer, data, name, max_length, parts, progress))
                order = torch.cat([shard["rows"] for shard in shards]).argsort()
                for key in ("features", "labels"):
                    tensors[f"{name}.{key}"] = torch.cat([shard[key] for shard in shards])[order]
            write_bytes(path, save(tensors))
        # All of it: a process that was killed may have left shards, and half a one.
        if parts.exists():
            shutil.rmtree(parts)
    return path


def feature_file(folder: Path, digest: str) -> Path:
    """Where [`encode`] keeps the features of a `digest`."""
    return folder / f"{digest}.safetensors"


def _is_whole(path: Path, names: set[str]) -> bool:
    """Whether there is a file with these tensors; one that cannot be read is warned of."""
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:  # reads the header, and compares the size with it
            if names <= set(file.keys()):
                return True
    except (SafetensorError, OSError):
        pass
    logger.warning("%s cannot be read; it is made again.", path)
    return False


def digest_of(model: nn.Module, data: TextClassificationData, max_length: int) -> str:
    """Of the encoder's weights, texts, labels and `max_length`. Raises `ValueError` without a test split."""
    check_splits(data)
    digest = hashlib.sha256(f"{weights_digest(model)} {max_length}".encode())
    for name in SPLITS:
        for text, label in zip(data.splits[name]["text"], data.splits[name]["label"], strict=True):
            digest.update(f"{name} {len(text)} {label} {text}".encode("utf-8", "surrogatepass"))
        for text in data.splits[name]["text_pair"] if data.paired else ():
            digest.update(f"{len(text)} {text}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def check_splits(data: TextClassificationData) -> None:
    """`ValueError` for a dataset without a test split."""
    if "test" not in data.splits:
        raise ValueError(f"{data.name} has no test split ({', '.join(data.splits)}): the study ends on one.")


def weights_digest(model: nn.Module) -> str:
    """Of all weights but those of the classifier."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith("classifier."):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _shards(
    model, tokenizer, data, name, max_length, folder: Path, progress: bool
) -> Iterator[dict[str, torch.Tensor]]:
    """Rows in the order of their lengths, so that little is padding."""
    rows = data.tokenize(tokenizer, max_length, [name])[name]
    lengths = torch.tensor([len(each) for each in rows["input_ids"]])
    order = lengths.argsort(stable=True)
    title = f"{Path(data.name).name}, {name}"
    bar = tqdm(total=int(lengths.sum()), desc=title, unit="token", unit_scale=True, disable=not progress)
    for number, index in enumerate(order.split(SHARD_ROWS)):
        path = folder / f"{name}-{number:05}.safetensors"
        if not _is_whole(path, {"features", "labels", "rows"}):
            batches = batches_for(model, rows.select(index.tolist()), 32, processing_class=tokenizer)
            inputs = collect_head_inputs(model, batches, progress=False)
            tensors = {"features": inputs.hidden_states.float().cpu(), "labels": inputs.labels, "rows": index}
            write_bytes(path, save({key: tensor.contiguous() for key, tensor in tensors.items()}))
        bar.update(int(lengths[index].sum()))
        yield load_file(path)
    bar.close()
