"""
Runs what has to be seen on a GPU, part by part, each in processes of its own that may fail without the others, and
writes one JSON file with what came of them.

    python scripts/gpu_checks.py --help
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as xml
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any


ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "scripts" / "benchmarks"
RESULTS = BENCHMARKS / "results"
LOG = "gpu_checks.log"
TAIL = 3000
"""Characters that are shown of what a part that failed has printed; the file has all."""

TESTS = [
    "tests/gpu",
    "tests/information/counting/test_no_waits.py",
    "tests/information/counting/test_triton_kernel.py",
    "tests/information/counting/test_one_read.py",
]
"""Those with the marker `gpu`."""
TRAININGS = [
    "tests/training/test_callback.py",
    "tests/training/test_precision_and_compile.py",
    "tests/training/test_encoder_training.py",
    "tests/commands/prune/test_prune.py",
    "tests/commands/predict/test_predict.py",
]
"""Invariants that the default suite holds on the CPU, whose trainings and commands go to the GPU here."""
OF_THE_CPU = ["test_scores_under_autocast", "test_as_fast_as_asked"]
"""Tests among them that are about a CPU."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().split("\n\n")[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=list(PARTS), help="Which to run.")
    parser.add_argument("--quick", action="store_true", help="Small sizes; on a CPU where there is no GPU.")
    parser.add_argument("--seconds", type=float, default=540, help="For all parts; those that are left are cut short.")
    parser.add_argument("--output", type=Path, default=RESULTS, help="Folder for the result files.")
    parser.add_argument(
        "--shared", type=Path, default=Path(os.environ.get("MIDROPOUT_SHARED", "../shared")),
        help="Folder with models/minilm-albert and data/ag_news. Without it, parts that need them are left out, and "
        "--quick takes a tiny encoder and built-in texts in their place.",
    )  # fmt: skip
    return parser


class Part:
    """
    One part: its commands run one after the other; `results` are files that they write.

    Args:
        options (`argparse.Namespace`): Those of this script.
        on_gpu (`bool`): Whether there is a GPU.
    """

    def __init__(self, options: argparse.Namespace, on_gpu: bool):
        self.options, self.on_gpu = options, on_gpu
        self.deadline = 0.0
        self.output: list[str] = []

    def run(self, *command: str | Path, **environment: str) -> int:
        """The exit status of Python with the arguments `command`; of one that takes too long, 124."""
        started = time.perf_counter()
        with tempfile.TemporaryFile("w+") as log:
            process = subprocess.Popen(
                [sys.executable, *map(str, command)], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, **environment}, start_new_session=True,
            )  # fmt: skip
            try:
                code = process.wait(max(1.0, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                code = 124
            log.seek(0)
            printed = log.read()
        shown = " ".join(Path(str(part)).name for part in command[:4])
        line = f"$ {shown}: {code}, {time.perf_counter() - started:.0f} s"
        self.output.append(f"{line}\n{printed[-TAIL:]}")
        with (self.options.output / LOG).open("a") as whole:
            whole.write(f"{line}\n{printed}\n")
        return code

    def benchmark(self, name: str, result: str, *arguments: str | Path) -> dict[str, Any]:
        """What a benchmark wrote to the result file `result`."""
        path = self.options.output / result
        path.unlink(missing_ok=True)
        code = self.run(BENCHMARKS / f"{name}.py", "--result", path, *arguments)
        content = json.loads(path.read_text()) if path.exists() else None
        return {"passed": code == 0, "result": result if content else None}

    def pytest(self, files: list[str], *arguments: str, **environment: str) -> dict[str, Any]:
        """Numbers of tests by outcome, and the names of those that failed."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "tests.xml"
            arguments = ("-q", "-p", "no:cacheprovider", f"--junitxml={path}", "-m", "gpu or not gpu", *arguments)
            paths = [str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")]
            code = self.run("-m", "pytest", *files, *arguments, PYTHONPATH=os.pathsep.join(paths), **environment)
            if not path.exists():
                return {"passed": False}
            cases = list(xml.parse(path).getroot().iter("testcase"))
        failed = [f"{case.get('classname')}::{case.get('name')}" for case in cases
                  if case.find("failure") is not None or case.find("error") is not None]  # fmt: skip
        skipped = sum(case.find("skipped") is not None for case in cases)
        counts = {"tests": len(cases), "skipped": skipped, "failed": len(failed)}
        return {"passed": code == 0, **counts, "names_of_failed": failed}


def tests(part: Part) -> dict[str, Any]:
    """The tests that need a GPU, and others with their trainings on it."""
    workers = str(min(8, os.cpu_count() or 1)) if part.on_gpu else "0"
    quick = ["-k", "bits_in_memory or criterion"] if part.options.quick else []
    on_gpu = {} if part.on_gpu else {"MIDROPOUT_GPU_TESTS_ON": "cpu"}
    result = {"gpu": part.pytest(TESTS, "-n", workers, *quick, OMP_NUM_THREADS="2", **on_gpu)}
    if part.on_gpu:
        chosen = "test_callback" if part.options.quick else f"not ({' or '.join(OF_THE_CPU)})"
        result["trainings"] = part.pytest(
            TRAININGS, "-n", workers, "-k", chosen,
            OMP_NUM_THREADS="2", MIDROPOUT_TEST_DEVICE="cuda", CUBLAS_WORKSPACE_CONFIG=":4096:8",
        )  # fmt: skip
    return {"passed": all(each["passed"] for each in result.values()), **result}


def information(part: Part) -> dict[str, Any]:
    """Mutual information of a million rows of 3,072 activations, against one read of them."""
    small = ["--samples", "20000", "--neurons", "64", "--batch_size", "4096", "--repetitions", "2"]
    sizes = small if part.options.quick else []
    return part.benchmark("gpu", "gpu.json", *sizes, *([] if part.on_gpu else ["--device", "cpu"]))


def training(part: Part) -> dict[str, Any]:
    """AG News on a real encoder in bfloat16."""
    small = ["--train_rows", "64", "--held_out", "32", "--epochs", "1", "--batch_size", "8", "--compared_rows", "32"]
    sizes = [*small, "--targets", "head"] if part.options.quick else []
    return part.benchmark("gpu_training", "gpu_training.json", *sizes, *([] if part.on_gpu else ["--device", "cpu"]))


def encoder(part: Part) -> dict[str, Any]:
    """One-shot pruning of a fine-tuned encoder: time and what is lost; and how much faster it is."""
    quick, on_gpu = part.options.quick, part.on_gpu
    with tempfile.TemporaryDirectory() as folder:
        small = ["--train_rows", "64", "--measure_rows", "64", "--test_rows", "64", "--epochs", "1", "--criteria",
                 "prediction_information", "--keep", "0.5"]  # fmt: skip
        large = [
            "--train_rows",
            "4096",
            "--test_rows",
            "7600",
            "--keep",
            "0.25",
            "--criteria",
            "prediction_information",
            "std_times_norm",
            "magnitude",
            "random",
        ]
        result = {
            "pruning": part.benchmark(
                "encoder", "gpu_encoder.json", "--work_dir", folder, "--datasets", "ag_news", "--seeds", "0",
                *(small if quick else large),
            )
        }  # fmt: skip
    device = ["--device", "cuda"] if on_gpu else []
    small = ["--keep", "0.5", "--batch_sizes", "1", "--tokens", "16", "--repetitions", "5", "--engines", "pytorch"]
    large = ["--keep", "0.5", "0.25", "--batch_sizes", "1", "32", "256", "--engines", "pytorch", "compiled"]
    for dtype in ["float32"] if quick else ["float32", "bfloat16"]:
        result[f"latency, {dtype}"] = part.benchmark(
            "encoder_latency", f"gpu_latency_{dtype}.json", "--architectures", "own", "--dtype", dtype, *device,
            *(small if quick else large),
        )  # fmt: skip
    return {"passed": all(each["passed"] for each in result.values()), **result}


def stand_in(folder: Path) -> None:
    """Makes what `--shared` names, as small as it can be: 500 of the built-in texts, four classes, a tiny encoder."""
    from hf_midropout.data.builtin import load_python_docs
    from hf_midropout.models.builtin import tiny_model, train_tokenizer

    docs = load_python_docs().filter(lambda row: row["label"] < 4).shuffle(seed=0)
    (folder / "data" / "ag_news").mkdir(parents=True)
    for split in ("train", "test"):
        rows = docs[split].select(range(500))
        rows.to_parquet(folder / "data" / "ag_news" / f"{split}.parquet")
    texts = docs["train"]["text"][:500]
    tokenizer = train_tokenizer(texts)
    encoder = tiny_model(tokenizer, texts, [str(label) for label in range(4)]).albert
    for each in (tokenizer, encoder):
        each.save_pretrained(folder / "models" / "minilm-albert")


PARTS = {"tests": tests, "information": information, "training": training, "encoder": encoder}
NEED_SHARED = {"training", "encoder"}


def machine() -> dict[str, Any]:
    """What this is."""
    import torch

    found = {"cores": os.cpu_count(), "python": sys.version.split()[0]}
    for name in ("torch", "triton", "transformers", "accelerate", "datasets"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
        found["gpu_memory_mib"] = torch.cuda.get_device_properties(0).total_memory // 2**20
    return found


def main() -> int:
    options = make_parser().parse_args()
    options.output = options.output.absolute()
    options.output.mkdir(parents=True, exist_ok=True)
    made = None
    if options.quick and not (options.shared / "models" / "minilm-albert").is_dir():
        made = tempfile.TemporaryDirectory()
        options.shared = Path(made.name)
        stand_in(options.shared)
    os.environ["MIDROPOUT_SHARED"] = str(options.shared.absolute())
    result: dict[str, Any] = {"quick": options.quick, "stand_in": made is not None, "machine": machine(), "parts": {}}
    on_gpu = "gpu" in result["machine"]
    if not on_gpu and not options.quick:
        print("There is no GPU here: --quick runs small versions on the CPU.", file=sys.stderr)
        return 2
    file = options.output / "gpu_checks.json"
    (options.output / LOG).unlink(missing_ok=True)
    end = time.monotonic() + options.seconds
    for name in options.parts:
        part, started = Part(options, on_gpu), time.monotonic()
        part.deadline = end
        if name in NEED_SHARED and not (options.shared / "models" / "minilm-albert").is_dir():
            found: dict[str, Any] = {"passed": None, "left_out": "no folder with the encoder and the data: --shared"}
        else:
            try:
                found = PARTS[name](part)
            except Exception as error:  # the other parts go on
                found = {"passed": False, "error": f"{type(error).__name__}: {error}"}
        found["seconds"] = round(time.monotonic() - started, 1)
        result["parts"][name] = found
        print("\n".join(part.output) if not found["passed"] else part.output[-1][-1500:], flush=True)
        print(f"== {name}: {json.dumps(found)}", flush=True)
        file.write_text(json.dumps(result, indent=2) + "\n")
    print(f"Written: {file}")
    return int(any(found["passed"] is False for found in result["parts"].values()))


if __name__ == "__main__":
    sys.exit(main())
