"""What is published of a checkpoint's folder; anything else there (optimizer states, pickles, notes) stays at home."""

from __future__ import annotations

import hashlib
import json
from fnmatch import fnmatch
from pathlib import Path

from ..checkpoints.checks import INDEX, WEIGHTS, weight_files
from ..model_types import auto_map, brings_code, code_files, is_uneven, stock_type
from ..utils.json_files import read_json
from ..utils.report_names import REPORT_ARRAYS, REPORT_NAME
from ..utils.safe_paths import files_of
from ..utils.tokenizer_files import TOKENIZER_FILES


PUBLISHED = (
    "config.json", "generation_config.json", *TOKENIZER_FILES, REPORT_NAME, REPORT_ARRAYS, "midropout_report.html",
    "figures/*.png", "figures/*.svg", "onnx/model.onnx",
)  # fmt: skip
BY_PATH = (".safetensors", ".onnx")
"""Too large to hold in memory."""


def published_contents(folder: Path) -> dict[str, Path | bytes]:
    """
    What is published of a checkpoint, without its card, by name in the repository: bytes, so that what is checked is
    what is sent, or a path for weights.

    Raises:
        `ValueError`: for links that lead out of the folder.
    """
    weights = weight_files(folder)
    weights += [INDEX] if weights != [WEIGHTS] else []
    names = [
        name for name in files_of(folder) if name in weights or any(fnmatch(name, pattern) for pattern in PUBLISHED)
    ]
    contents: dict[str, Path | bytes] = {
        name: folder / name if name.endswith(BY_PATH) else (folder / name).read_bytes() for name in names
    }
    config = read_json(folder / "config.json")
    if brings_code(config.get("model_type")):
        stock, uneven = str(stock_type(config["model_type"])), is_uneven(config["model_type"])
        for name in code_files(stock, uneven):
            # The code of this version reads this version's checkpoints; what lies in the folder may have been edited.
            contents[name] = (Path(__file__).parents[1] / "models" / name).read_bytes()
        if config.get("auto_map") != auto_map(stock, uneven):
            whole = config | {"auto_map": auto_map(stock, uneven)}
            contents["config.json"] = json.dumps(whole, indent=2, sort_keys=True).encode()
    return contents


def digests(contents: dict[str, Path | bytes]) -> dict[str, str]:
    """The SHA-256 of each."""
    return {name: sha256_of(content) for name, content in contents.items()}


def sha256_of(content: Path | bytes) -> str:
    """The SHA-256 of a file or of bytes, in hexadecimal digits."""
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    digest = hashlib.sha256()
    with content.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
