"""
AG News with a real encoder: the same training with and without pruning, tested on every test row.

The dense arm trains first, scoring its neurons but dropping none. The pruned arm starts from the dense arm's last
checkpoint before that moment, so both share the initial phase bit for bit and differ in the pruning alone. A run that
was stopped goes on where it was.

    python scripts/benchmarks/ag_news.py --help
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from pathlib import Path

from transformers.trainer_utils import get_last_checkpoint

from hf_midropout.commands.train import main as train
from hf_midropout.commands.train_arguments import TrainArguments
from hf_midropout.files import write_json


RESULTS = Path(__file__).parent / "results"


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="ALBERT checkpoint.")
    parser.add_argument("--dataset", default=str(shared / "data/ag_news"), help="Folder or Hub id of AG News.")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("midropout_output/ag_news"), help="Checkpoints of both arms."
    )
    parser.add_argument("--result", type=Path, default=RESULTS / "ag_news.json", help="File for the result.")
    parser.add_argument("--train_rows", type=int, default=4096, help="Training rows, drawn at random.")
    parser.add_argument(
        "--validation_fraction", type=float, default=0.0134, help="Of all training rows; 514 of 38,386."
    )
    parser.add_argument("--epochs", type=float, default=3.0, help="Initial phase and retraining together.")
    parser.add_argument("--batch_size", type=int, default=32, help="Rows per step.")
    parser.add_argument("--max_length", type=int, default=64, help="Tokens to cut texts to.")
    parser.add_argument("--keep", type=float, default=0.5, help="Fraction of each layer's neurons to keep.")
    parser.add_argument("--save_steps", type=int, default=32, help="Steps between checkpoints.")
    parser.add_argument("--seed", type=int, default=42, help="Seed of both arms.")
    return parser


def report_of(options: argparse.Namespace, action: str) -> dict:
    """Trains one arm, or goes on with it, or reads what it left."""
    folder = options.output_dir / action
    report = folder / "compact" / "midropout_report.json"
    if not report.exists():
        train(
            TrainArguments(
                model=options.model,
                dataset=options.dataset,
                output_dir=str(folder),
                resume=folder.exists() and get_last_checkpoint(str(folder)) is not None,
                overwrite_output_dir=True,
                action=action,
                keep=options.keep,
                max_train_rows=options.train_rows,
                validation_fraction=options.validation_fraction,
                max_length=options.max_length,
                num_train_epochs=options.epochs,
                per_device_train_batch_size=options.batch_size,
                seed=options.seed,
                trainer=[
                    "save_strategy=steps",
                    f"save_steps={options.save_steps}",
                    "save_total_limit=null",
                    "logging_steps=5",
                ],
            )
        )
    return json.loads(report.read_text())


def share_initial_phase(options: argparse.Namespace, scored_at: int) -> None:
    """Gives the pruned arm the dense arm's last checkpoint before neurons were scored."""
    if (options.output_dir / "prune").exists():
        return
    steps = [int(folder.name.split("-")[1]) for folder in (options.output_dir / "none").glob("checkpoint-*")]
    last = max((step for step in steps if step < scored_at), default=None)
    if last is not None:
        source = options.output_dir / "none" / f"checkpoint-{last}"
        shutil.copytree(source, options.output_dir / "prune" / source.name)


def main() -> None:
    options = make_parser().parse_args()
    dense = report_of(options, "none")
    share_initial_phase(options, dense["pruning"]["step"])
    pruned = report_of(options, "prune")
    points = 100 * (pruned["test"]["accuracy"] - dense["test"]["accuracy"])
    write_json(
        options.result,
        {
            "what": "AG News, the same training with and without pruning; test accuracy on all rows of the test split",
            "seeds": [options.seed],
            "pruned_minus_dense_points": points,
            "dense": dense,
            "pruned": pruned,
        },
    )
    print(f"Test accuracy: dense {dense['test']['accuracy']:.4f}, pruned {pruned['test']['accuracy']:.4f}")


if __name__ == "__main__":
    main()
