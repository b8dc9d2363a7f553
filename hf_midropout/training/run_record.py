"""What a run of `hf-midropout train` wrote into its output folder, by name: nothing else there is ever removed."""

from __future__ import annotations

import json
import os
import secrets
import socket
import stat
from dataclasses import asdict, dataclass, field
from datetime import datetime
from fnmatch import fnmatch
from pathlib import Path

from ..model_types import ALL_CODE_FILES
from ..utils.files import is_beside, write_json
from ..utils.report_names import COMPACT, RECORD_FILES, REPORT_ARRAYS, REPORT_NAME
from ..utils.tokenizer_files import TOKENIZER_FILES
from .resuming import CHECKPOINT, STATE


# Pushes of the Trainer leave out names that begin with an underscore.
RECORD = "_midropout_run.json"
LOCK = "_midropout_run.lock"
DENSE = "_dense_run"
LOGS = "runs"

# Files of a checkpoint, of the compact model with what `report` and `export` add, of TensorBoard's logs: names at the
# top, or paths with a slash.
WRITTEN = (
    "config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json", "adapter_*",
    *TOKENIZER_FILES, "README.md", *ALL_CODE_FILES, REPORT_NAME, REPORT_ARRAYS,
    "midropout_report.html", "figures/*.png", "figures/*.svg", "onnx/model.onnx*",
    "training_args.bin", "trainer_state.json", "optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt",
    "rng_state*.pth", "pytorch_model_fsdp*", "pytorch_model_fsdp*/*", "optimizer_*/*", "global_step*/*", "latest",
    "zero_to_fp32.py", "*events.out.tfevents.*", "*/events.out.tfevents.*",
)  # fmt: skip


@dataclass
class RunRecord:
    """
    The file `_midropout_run.json` in an output folder.

    Args:
        id (`str`): Tells runs apart.
        pid (`int`), host (`str`), started (`str`, ISO 8601): The process that runs or ran.
        wrote (`list[str]`): Names in the folder that the run wrote, or was about to write when it was killed.
        finished (`bool`): Whether the compact model was saved.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    pid: int = field(default_factory=os.getpid)
    host: str = field(default_factory=socket.gethostname)
    started: str = field(default_factory=lambda: datetime.now().astimezone().isoformat(timespec="seconds"))
    wrote: list[str] = field(default_factory=list)
    finished: bool = False

    @classmethod
    def load(cls, folder: Path) -> RunRecord | None:
        """Reads it; `None` if there is none, or none that a run wrote."""
        path = folder / RECORD
        try:
            if not stat.S_ISREG(path.lstat().st_mode):
                return None
            record = cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        names = record.wrote if isinstance(record.wrote, list) else [None]
        return record if all(isinstance(name, str) and is_result(name) for name in names) else None

    def save(self, folder: Path) -> None:
        """Writes it, atomically."""
        write_json(folder / RECORD, asdict(self))

    def there(self, folder: Path) -> list[str]:
        """What the run wrote and is still there: neither links nor checkpoints of another Trainer."""
        return [name for name in self.wrote if _is_ours(folder / name)]


def is_result(name: str) -> bool:
    """Whether a run of `hf-midropout train` gives files or folders this name."""
    return CHECKPOINT.fullmatch(name) is not None or name in (COMPACT, DENSE, *RECORD_FILES, LOGS)


def _is_ours(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    if path.name in RECORD_FILES:
        return stat.S_ISREG(mode)
    if not stat.S_ISDIR(mode):
        return False
    if CHECKPOINT.fullmatch(path.name):
        try:
            state = json.loads((path / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return True  # a kill, or a full disk, came before that file
        return isinstance(state, dict) and "MIDropoutCallback" in (state.get("stateful_callbacks") or {})
    return True


def remove_written(path: Path) -> list[str]:
    """
    Removes a file or folder that a run wrote, without following links; in a folder only files with names that are
    written there.

    Returns:
        `list[str]`: paths of what was left, relative to the parent of `path`.
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return []
    left = []
    for folder, folders, files in os.walk(path, topdown=False):
        for name in [*files, *(name for name in folders if Path(folder, name).is_symlink())]:
            file = Path(folder, name)
            inside = file.relative_to(path).as_posix()
            if path.name == DENSE and CHECKPOINT.fullmatch(inside.partition("/")[0]):
                inside = inside.partition("/")[2]
            if not file.is_symlink() and _is_written(inside):
                file.unlink()
            else:
                left.append(file.relative_to(path.parent).as_posix())
        try:
            os.rmdir(folder)
        except OSError:
            if not os.listdir(folder):
                raise
    return sorted(left)


def _is_written(name: str) -> bool:
    if is_beside(name.rpartition("/")[2]):
        return True
    return any(fnmatch(name, pattern) and ("/" in pattern or "/" not in name) for pattern in WRITTEN)
