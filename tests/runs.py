"""What a run of `hf-midropout train` leaves in its output folder, made up in a millisecond."""

import json
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from hf_midropout.cli import main
from hf_midropout.training.output_folder import OutputFolder


ARCHIVES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin")


def save_checkpoint(folder: Path, step: int, callback: str = "MIDropoutCallback", value: float = 0.0) -> Path:
    """A folder `checkpoint-STEP`, in the order in which a Trainer writes its files."""
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    save_file({"weight": np.full(4, value, dtype=np.float32)}, path / "model.safetensors")
    (path / "config.json").write_text("{}")
    for name in ARCHIVES:
        with zipfile.ZipFile(path / name, "w") as archive:
            archive.writestr("archive/data.pkl", b"not a pickle")
    (path / "trainer_state.json").write_text(json.dumps({"global_step": step, "stateful_callbacks": {callback: {}}}))
    return path


def save_compact(folder: Path, text: str = "{}") -> Path:
    path = folder / "compact"
    (path / "figures").mkdir(parents=True)
    (path / "config.json").write_text(text)
    (path / "figures" / "bits_per_layer.png").write_bytes(b"png")
    return path


def finished_run(folder: Path, **options) -> Path:
    """A folder with a whole run."""
    with OutputFolder(folder, **options) as output:
        output.begin()
        output.writes("checkpoint-5")
        save_checkpoint(folder, 5)
        (folder / "midropout_record.json").write_text("{}")
        output.writes("compact")
        save_compact(folder)
        output.finish()
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Files of `folder` without the record of the run, which names the process, and the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("_midropout_run")
    }


def train(data_folder, output_dir, *more: str) -> int:
    """`hf-midropout train` for five steps, with a small head; its exit status."""
    return main(["train", "--dataset", str(data_folder), "--output_dir", str(output_dir), "--max_length", "16",
                 "--num_train_epochs", "1", "--per_device_train_batch_size", "16", "--head_widths", "16", "8",
                 "--disable_tqdm", "true", "--use_cpu", "true", *more])  # fmt: skip
