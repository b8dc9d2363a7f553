"""
AG News with a real encoder: the same training dense, pruned by mutual information, and pruned at random; tested on
every test row.

For each seed the dense arm trains first, scoring its neurons but dropping none. The other arms start from its last
checkpoint before that moment, so all share the initial phase bit for bit and differ in the pruning alone. A run that
was stopped goes on where it was.

    python scripts/benchmarks/ag_news.py --help
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
from pathlib import Path
from typing import Any

from transformers.trainer_utils import get_last_checkpoint

from hf_midropout.commands.train import main as train
from hf_midropout.commands.train.arguments import TrainArguments
from hf_midropout.pruning.config import MIDropoutConfig
from hf_midropout.reporting.report import Report
from hf_midropout.utils.files import write_json


RESULTS = Path(__file__).parent / "results"
ARMS: dict[str, dict[str, Any]] = {
    "dense": {"action": "none"},
    "mutual_information": {"criterion": "mutual_information"},
    "random": {"criterion": "random"},
}


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__.strip().splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    shared = Path(os.environ.get("MIDROPOUT_SHARED", "../shared"))
    parser.add_argument("--model", default=str(shared / "models/minilm-albert"), help="ALBERT checkpoint.")
    parser.add_argument("--dataset", default=str(shared / "data/ag_news"), help="Folder or Hub id of AG News.")
    parser.add_argument(
        "--output_dir", type=Path, default=Path("midropout_output/ag_news"), help="Checkpoints of all arms."
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
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44], help="Each trains every arm.")
    parser.add_argument("--add", action="store_true", help="Add the seeds to those that the result file has.")
    return parser


def report_of(options: argparse.Namespace, seed: int, arm: str) -> Report:
    """Trains one arm, or goes on with it, or reads what it left."""
    folder = options.output_dir / f"seed_{seed}" / arm
    report = Report.load(folder / "compact")
    if report is None:
        resume = folder.exists() and get_last_checkpoint(str(folder)) is not None
        arguments = TrainArguments(
            model=options.model,
            dataset=options.dataset,
            output_dir=str(folder),
            resume=resume,
            overwrite_output_dir=not resume,
            max_train_samples=options.train_rows,
            validation_fraction=options.validation_fraction,
            max_length=options.max_length,
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch_size,
            seed=seed,
            training_options=["--save_strategy", "steps", "--save_steps", str(options.save_steps),
                              "--save_total_limit", "none", "--logging_steps", "5"],
        )  # fmt: skip
        keep = {} if arm == "dense" else {"keep": options.keep}
        train(arguments, MIDropoutConfig(**ARMS[arm], **keep))
        report = Report.load(folder / "compact")
    assert report is not None and report.test is not None and report.pruning is not None  # of a finished run
    return report


def share_initial_phase(options: argparse.Namespace, seed: int, arm: str, scored_at: int) -> None:
    """Gives an arm the dense arm's last checkpoint before neurons were scored."""
    folder = options.output_dir / f"seed_{seed}"
    if (folder / arm).exists():
        return
    steps = [int(checkpoint.name.split("-")[1]) for checkpoint in (folder / "dense").glob("checkpoint-*")]
    last = max((step for step in steps if step < scored_at), default=None)
    if last is not None:
        source = folder / "dense" / f"checkpoint-{last}"
        shutil.copytree(source, folder / arm / source.name)


def summarize(reports: dict[str, list[Report]]) -> dict[str, Any]:
    """Test accuracy and loss of each arm over the seeds, and how it differs from the dense arm of the same seed."""
    dense = [report.test.accuracy for report in reports["dense"]]
    summary = {}
    for arm, of_seeds in reports.items():
        summary[arm] = {
            "head_widths": of_seeds[0].model.head_widths_after,
            "accuracy": spread([report.test.accuracy for report in of_seeds]),
            "loss": spread([report.test.loss for report in of_seeds]),
        }
        if arm != "dense":
            points = [100 * (report.test.accuracy - d) for report, d in zip(of_seeds, dense, strict=True)]
            summary[arm]["points_above_dense"] = spread(points)
            summary[arm]["validation_right_after_pruning"] = spread(
                [report.pruning.validation.after_pruning.accuracy for report in of_seeds]
            )
    return summary


def added(earlier: dict[str, Any], later: dict[str, Any]) -> dict[str, Any]:
    """Two results of `summarize`, of different seeds, as one."""
    return {
        arm: {
            name: spread(earlier[arm][name]["values"] + figure["values"]) if isinstance(figure, dict) else figure
            for name, figure in figures.items()
        }
        for arm, figures in later.items()
    }


def spread(values: list[float]) -> dict[str, Any]:
    """The values with their mean and, of several, standard deviation."""
    return {
        "mean": statistics.mean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "values": values,
    }


def main() -> None:
    parser = make_parser()
    options = parser.parse_args()
    earlier = json.loads(options.result.read_text()) if options.add else None
    if earlier and (known := set(earlier["seeds"]) & set(options.seeds)):
        parser.error(f"--add: {options.result} has seed {', '.join(map(str, known))} already.")
    reports: dict[str, list[Report]] = {arm: [] for arm in ARMS}
    for seed in options.seeds:
        reports["dense"].append(report_of(options, seed, "dense"))
        for arm in list(ARMS)[1:]:
            share_initial_phase(options, seed, arm, reports["dense"][-1].pruning.step)
            reports[arm].append(report_of(options, seed, arm))
    result = {
        "what": "AG News, the same training dense and pruned; test accuracy on all rows of the test split. "
        "ag_news_dense and ag_news_pruned are the reports of the first seed.",
        "seeds": options.seeds,
        "summary": summarize(reports),
    }
    if earlier:
        result = earlier | {
            "seeds": earlier["seeds"] + options.seeds,
            "summary": added(earlier["summary"], result["summary"]),
        }
    else:
        for name, arm in (("dense", "dense"), ("pruned", "mutual_information")):
            reports[arm][0].save(options.result.parent, f"{options.result.stem}_{name}")
    write_json(options.result, result)
    for arm, figures in result["summary"].items():
        accuracy = [f"{100 * value:.2f}" for value in figures["accuracy"]["values"]]
        print(f"{arm:<20} test accuracy {', '.join(accuracy)}")


if __name__ == "__main__":
    main()
