"""
Fills the tables of README.md and `docs/` from the results in `scripts/benchmarks/results/`. Never edit them by hand.

    python scripts/make_tables.py          # writes
    python scripts/make_tables.py --check  # says what is out of date, and fails if anything is

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`; `TABLES` has a function for each name.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any


ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "scripts" / "benchmarks" / "results"
BLOCK = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end of table -->)", re.S)
CRITERIA = {
    "prediction_information": "prediction information (default)",
    "prediction_variance": "prediction variance",
    "brain_surgeon": "optimal brain surgeon",
    "std_times_norm": "std × norm",
    "taylor": "Taylor",
    "mask_fisher": "mask Fisher",
    "magnitude": "magnitude",
    "mutual_information": "mutual information",
    "joint_information": "joint information",
    "random": "random",
}
FORMATS = {"accuracy": (2, 100), "bits_lost": (4, 1)}
"""Of what is measured of an encoder: digits, and what to multiply by."""
DATASETS = {"ag_news": "AG News", "imdb": "IMDB", "yelp": "Yelp polarity"}


def results(name: str) -> dict[str, Any]:
    """The content of one result file."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Markdown; all columns but the first are numbers."""
    header = list(header)
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def spread(values: list[float], digits: int, scale: float = 1.0) -> str:
    """The mean, and the standard deviation if there are several."""
    text = f"{scale * statistics.mean(values):.{digits}f}"
    return text if len(values) < 2 else f"{text} ± {scale * statistics.stdev(values):.{digits}f}"


FEW = ("prediction_information", "std_times_norm", "magnitude", "random")
"""Criteria that the README shows: the default and three controls."""
FRACTIONS = ("0.5", "0.25", "0.125", "0.0625")


def of_encoder(dataset: str, file: str = "encoder") -> list[dict[str, Any]]:
    """The runs of an encoder benchmark on one dataset, a seed each, that were pruned at all."""
    runs = results(file)["runs"]
    names = sorted(name for name in runs if name.startswith(f"{dataset}/"))
    return [runs[name] for name in names if any(key.startswith("prediction_information/") for key in runs[name])]


def encoder_datasets(file: str = "encoder") -> list[str]:
    return [name for name in DATASETS if of_encoder(name, file)]


def cell(runs: list[dict[str, Any]], key: str, field: str) -> str:
    """The mean of `field` over the runs that have `key`."""
    found = [run[key][field] for run in runs if key in run]
    return spread(found, *FORMATS[field]) if found else ""


def rows_by_criterion(
    criteria: Iterable[str], columns: list[tuple[list[dict[str, Any]], str, str]]
) -> list[list[str]]:
    """Columns are runs, a fraction and a field; then a row for the dense network."""
    rows = [
        [CRITERIA[criterion], *[cell(runs, f"{criterion}/{fraction}", field) for runs, fraction, field in columns]]
        for criterion in criteria
    ]
    dense = [cell(runs, "dense", field) if field == "accuracy" else "0" for runs, _, field in columns]
    return [*[row for row in rows if any(row[1:])], ["all neurons (dense)", *dense]]


def by_fraction(dataset: str, file: str, criteria: Iterable[str] = tuple(CRITERIA)) -> str:
    """Accuracy, then bits lost, at all fractions that there are."""
    runs, tables = of_encoder(dataset, file), []
    fractions = [each for each in FRACTIONS if any(f"prediction_information/{each}" in run for run in runs)]
    for field, label in (("accuracy", "test accuracy"), ("bits_lost", "bits lost")):
        header = [f"{DATASETS[dataset]}, {label}", *[f"{100 * float(each):g}% kept" for each in fractions]]
        tables.append(table(header, rows_by_criterion(criteria, [(runs, each, field) for each in fractions])))
    return "\n\n".join(tables)


def encoder_half() -> str:
    """Of all datasets at half of the neurons, for the README."""
    names = encoder_datasets()
    columns = [(of_encoder(name), "0.5", "accuracy") for name in names]
    return table(["half kept, chosen by", *[DATASETS[name] for name in names]], rows_by_criterion(FEW, columns))


def encoder_quarter() -> str:
    """Of the classifier that was trained longest, for the README."""
    runs = of_encoder("ag_news", "encoder_ag_news_20000_rows")
    columns = [(runs, fraction, field) for fraction in ("0.25", "0.125") for field in FORMATS]
    header = ["AG News, chosen by", "25% kept: accuracy", "bits lost", "12.5% kept: accuracy", "bits lost"]
    return table(header, rows_by_criterion(FEW, columns))


def encoder() -> str:
    return "\n\n".join(by_fraction(name, "encoder") for name in encoder_datasets())


def encoder_longest() -> str:
    return by_fraction("ag_news", "encoder_ag_news_20000_rows")


def encoder_shortest() -> str:
    return by_fraction("ag_news", "encoder_ag_news_2560_rows")


def encoder_retrained() -> str:
    """What is left of the differences after retraining, where there was any."""
    rows = []
    for file in ("encoder", "encoder_ag_news_20000_rows", "encoder_ag_news_2560_rows"):
        for name in encoder_datasets(file):
            runs = of_encoder(name, file)
            for key in sorted({key for run in runs for key in run if key.endswith("/retrained")}):
                criterion, fraction, _ = key.split("/")
                having = [run for run in runs if key in run]
                before, after = cell(having, f"{criterion}/{fraction}", "accuracy"), cell(having, key, "accuracy")
                rows.append([DATASETS[name], CRITERIA[criterion], f"{100 * float(fraction):g}%", before, after])
    if not rows:
        return "No run was retrained yet."
    return table(["dataset", "neurons chosen by", "kept", "accuracy, one shot", "after retraining"], rows)


def encoder_runs() -> str:
    """How many seeds there are of each dataset."""
    options = results("encoder")["options"]
    seeds = [f"{DATASETS[name]} {len(of_encoder(name))}" for name in encoder_datasets()]
    rows = f"{options['train_rows']:,} training and {options['test_rows']:,} test rows of each"
    return f"Seeds: {', '.join(seeds)}; {rows}."


def encoder_latency() -> str:
    rows = []
    for name, model in results("encoder_latency")["models"].items():
        layers = "ALBERT, one layer applied six times" if name == "own" else "BERT, six layers"
        for batch, each in model["batches"].items():
            for engine, label in (("pytorch", "PyTorch"), ("onnxruntime", "ONNX Runtime")):
                times = each[engine]
                faster = [f"{times[width]['times_faster']:.2f}" for width in ("0.5", "0.25", "0.125")]
                rows.append([layers, label, batch, f"{times['dense']['milliseconds']:.0f} ms", *faster])
    return table(["encoder", "engine", "batch", "dense", "50% kept", "25%", "12.5%"], rows)


def encoder_sizes() -> str:
    rows = []
    for name, model in results("encoder_latency")["models"].items():
        label = "ALBERT" if name == "own" else "BERT"
        rows.append([f"{label}, parameters", *[f"{count / 1e6:.1f} M" for count in model["parameters"].values()]])
        rows.append([f"{label}, ONNX file", *[f"{size / 1e6:.1f} MB" for size in model["onnx_bytes"].values()]])
    return table(["", "dense", "50% kept", "25%", "12.5%"], rows)


def head_training() -> str:
    summary = results("ag_news")["summary"]
    rows = []
    for key, label in (
        ("dense", "dense"),
        ("mutual_information", "half kept by mutual information"),
        ("random", "half kept at random"),
    ):
        each = summary[key]
        accuracy, right_after = each["accuracy"], each.get("validation_right_after_pruning")
        shown = f"{100 * accuracy['mean']:.2f} ± {100 * accuracy['std']:.2f}"
        validation = f"{100 * right_after['mean']:.1f} ± {100 * right_after['std']:.1f}" if right_after else ""
        rows.append([label, str(sum(each["head_widths"])), shown, validation])
    return table(["head", "neurons", "test accuracy", "validation right after pruning"], rows)


def head_criteria() -> str:
    accuracy = results("criteria")["accuracy"]
    names = {
        "mutual_information": "mutual information (default)", "joint_information": "joint information",
        "magnitude": "magnitude", "activation": "std × norm", "taylor": "Taylor", "random": "random",
    }  # fmt: skip
    columns = [(keep, kind) for keep in ("0.5", "0.25", "0.1") for kind in ("none", "least_squares")]
    header = ["criterion"] + [
        f"{100 * float(keep):g}%, {'as it is' if kind == 'none' else 'refitted'}" for keep, kind in columns
    ]
    rows = []
    for key, label in names.items():
        cells = [accuracy[f"{key}/{keep}/{kind}"] for keep, kind in columns]
        rows.append([label, *[f"{100 * cell['mean']:.1f} ± {100 * cell['std']:.1f}" for cell in cells]])
    return table(header, rows)


def demo_accuracy() -> str:
    report = results("python_docs")
    neurons = (report["model"]["head_widths_before"], report["model"]["head_widths_after"])
    validation = report["pruning"]["validation"]
    moments = [
        ("validation, before pruning", neurons[0], validation["before_pruning"]),
        ("validation, right after pruning", neurons[1], validation["after_pruning"]),
        ("validation, after retraining", neurons[1], validation["after_retraining"]),
        ("test, compact model", neurons[1], report["test"]),
    ]
    rows = [
        [label, str(sum(widths)), f"{each['accuracy']:.4f}", f"{each['macro_f1']:.4f}", f"{each['loss']:.4f}"]
        for label, widths, each in moments
    ]
    return table(["rows", "neurons", "accuracy", "macro F1", "loss"], rows)


def demo_bits() -> str:
    rows = [
        [f"`{each['name']}`", str(each["neurons"]), str(each["kept"])]
        + [f"{each[key]:.3f}" for key in ("mean_bits_before", "mean_bits_before_of_kept", "mean_bits_after_of_kept")]
        for each in results("python_docs")["pruning"]["layers"]
    ]
    header = ["layer", "neurons", "kept", "mean bits, all, before", "kept ones, before", "kept ones, after"]
    return table(header, rows)


def demo_controls() -> str:
    one_shot = results("python_docs")["pruning"]["pruning_steps"][0]["baselines"]["one_shot"]
    rows = []
    for name, each in one_shot.items():
        deviation = f" ± {each['accuracy_std']:.4f}" if "accuracy_std" in each else ""
        rows.append([CRITERIA[name], f"{each['accuracy']:.4f}{deviation}", f"{each['loss']:.4f}"])
    return table(["half of the neurons chosen by", "accuracy right after pruning", "loss"], rows)


def search_time() -> str:
    content = results("sweep")
    rows = [
        [label, str(content["levels"][label]), f"{content['search_over_plain_evaluation'][label]:.2f}"]
        for label in content["levels"]
    ]
    return table(["search over", "masks", "time over that of one plain evaluation"], rows)


def estimator_error() -> str:
    summary = results("mutual_information_accuracy")["summary"]
    rows = [
        [label, *[f"{summary[size][label]['mean_rmse']:.4f}" for size in summary]]
        for label in ("in memory", "stream", "scikit-learn")
    ]
    rows += [
        [f"no signal: {label}", *[f"{summary[size][label]['rmse_on_noise']:.4f}" for size in summary]]
        for label in ("in memory", "scikit-learn")
    ]
    return table(["mean RMSE in bits", *[f"{int(size):,} samples" for size in summary]], rows)


def estimator_speed() -> str:
    names = ("in memory", "stream, batches of 1,024", "stream, batches of 8", "scikit-learn, all cores")
    rows = [
        [size, *[f"{each['seconds'][name]:.2f}" for name in names], f"{each['scikit_learn_over_in_memory']:.0f}"]
        for size, each in results("mutual_information_speed")["results"].items()
    ]
    return table(["median seconds", *names, "in memory, times faster"], rows)


TABLES = {
    function.__name__.replace("_", "-"): function
    for function in (
        encoder, encoder_half, encoder_quarter, encoder_longest, encoder_shortest, encoder_retrained, encoder_runs,
        encoder_latency, encoder_sizes, head_training, head_criteria, demo_accuracy, demo_bits, demo_controls,
        search_time, estimator_error, estimator_speed,
    )
}  # fmt: skip


def filled(text: str) -> str:
    """`text` with each of its tables as the results have it."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{TABLES[match[2]]()}\n\n{match[3]}", text)


def pages() -> list[Path]:
    """The pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def main() -> int:
    parser = argparse.ArgumentParser(description="Fills the tables of README.md and docs/ from the result files.")
    parser.add_argument("--check", action="store_true", help="Write nothing; fail if a table is out of date.")
    options = parser.parse_args()
    stale = 0
    for path in pages():
        text = path.read_text(encoding="utf-8")
        if filled(text) == text:
            continue
        stale += 1
        print(path.relative_to(ROOT))
        if not options.check:
            path.write_text(filled(text), encoding="utf-8")
    return int(options.check and stale > 0)


if __name__ == "__main__":
    raise SystemExit(main())
