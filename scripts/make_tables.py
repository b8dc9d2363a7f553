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

import study_tables


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
LARGER = "encoder_ag_news_20000_rows"
"""The result of an AG News classifier that was fine-tuned on more rows, at more widths."""
FEWER = "encoder_2560_rows"
"""The result of classifiers that were fine-tuned on fewer rows, at fewer neurons."""
RETRAINED = "encoder_retrained"
"""The result of networks that were trained on after pruning."""


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


def of_encoder(dataset: str, file: str = "encoder") -> list[dict[str, Any]]:
    """The runs of the encoder benchmark on one dataset, a seed each."""
    runs = results(file)["runs"]
    return [runs[name] for name in sorted(runs) if name.startswith(f"{dataset}/")]


def encoder_datasets() -> list[str]:
    return [name for name in DATASETS if of_encoder(name)]


def encoder_rows(runs: list[dict[str, Any]], fractions: Iterable[str], criteria: Iterable[str], fields: Iterable[str]):
    """A row for each criterion that has results, then one for the dense network."""
    rows = []
    cells = [(fraction, field) for fraction in fractions for field in fields]
    for criterion in criteria:
        row = [CRITERIA[criterion]]
        for fraction, field in cells:
            found = [run[f"{criterion}/{fraction}"][field] for run in runs if f"{criterion}/{fraction}" in run]
            row.append(spread(found, *FORMATS[field]) if found else "")
        if any(row[1:]):
            rows.append(row)
    dense = spread([run["dense"]["accuracy"] for run in runs], 2, 100)
    rows.append(["all neurons (dense)", *[dense if field == "accuracy" else "0" for _, field in cells]])
    return rows


def points_lost(runs: list[dict[str, Any]], key: str) -> float:
    """Mean percentage points of accuracy that a network loses."""
    return 100 * statistics.mean(run["dense"]["accuracy"] - run[key]["accuracy"] for run in runs)


def encoder_short() -> str:
    """For the README."""
    criteria = ("prediction_information", "std_times_norm", "magnitude", "random")
    rows = [[CRITERIA[name]] for name in criteria] + [["all neurons (dense)"]]
    for dataset in encoder_datasets():
        for row, more in zip(rows, encoder_rows(of_encoder(dataset), ("0.5",), criteria, ("accuracy",)), strict=True):
            row += more[1:]
    every = [run for dataset in encoder_datasets() for run in of_encoder(dataset)]
    for row, more in zip(rows, encoder_rows(every, ("0.5",), criteria, ("bits_lost",)), strict=True):
        row += more[1:]
    half = table(["half of the neurons, chosen by", *map(DATASETS.get, encoder_datasets()), "bits lost"], rows)
    fewer = [run for dataset in encoder_datasets() for run in of_encoder(dataset, FEWER)]
    lost = {name: points_lost(fewer, f"{name}/0.25") for name in criteria}
    quarter = ", ".join(f"{CRITERIA[name].removesuffix(' (default)')} {each:.1f}" for name, each in lost.items())
    (seeds,) = {len(of_encoder(name)) for name in encoder_datasets()}
    tested = f"{seeds} seeds of each, {results('encoder')['options']['test_rows']:,} test rows"
    fewer_tested = f"1 seed, {results(FEWER)['options']['test_rows']:,} test rows"
    return f"{half}\n\n{tested}. With a quarter ({fewer_tested}), points lost on the mean of the three: {quarter}."


def encoder() -> str:
    tables = []
    files = [(DATASETS[name], of_encoder(name), ("0.5",)) for name in encoder_datasets()]
    larger = "AG News, fine-tuned on 20,000 rows"
    files.append((larger, of_encoder("ag_news", LARGER), ("0.5", "0.25", "0.125")))
    for name, runs, fractions in files:
        columns = [
            f"{100 * float(fraction):g}% kept: {what}" for fraction in fractions for what in ("accuracy", "bits lost")
        ]
        tables.append(table([name, *columns], encoder_rows(runs, fractions, CRITERIA, FORMATS)))
    return "\n\n".join(tables)


def encoder_narrow() -> str:
    """Fewer neurons of three classifiers, and the means of what these lose: criteria that all three have."""
    runs = {name: run for name in DATASETS for run in of_encoder(name, FEWER)}
    tables = []
    for fraction in ("0.25", "0.125"):
        header = [f"{100 * float(fraction):g}% kept", *map(DATASETS.get, runs), "points lost", "bits lost"]
        rows = []
        for criterion, label in CRITERIA.items():
            found = [run.get(f"{criterion}/{fraction}") for run in runs.values()]
            if None in found:
                continue
            accuracies = [f"{100 * each['accuracy']:.2f}" for each in found]
            bits = statistics.mean(each["bits_lost"] for each in found)
            lost = points_lost(list(runs.values()), f"{criterion}/{fraction}")
            rows.append([label, *accuracies, f"{lost:.2f}", f"{bits:.4f}"])
        dense = [f"{100 * run['dense']['accuracy']:.2f}" for run in runs.values()]
        if rows:
            tables.append(table(header, [*rows, ["all neurons (dense)", *dense, "0", "0"]]))
    return "\n\n".join(tables)


def encoder_retrained() -> str:
    """What is left of the differences after retraining."""
    rows = []
    for name, run in sorted(results(RETRAINED)["runs"].items()):
        for key in (key for key in run if key.endswith("/retrained")):
            criterion, fraction, _ = key.split("/")
            row = [f"{100 * float(fraction):g}% by {CRITERIA[criterion]}"]
            for each in (run[f"{criterion}/{fraction}"], run[key]):
                row += [spread([each[field]], *FORMATS[field]) for field in FORMATS]
            rows.append(row)
        dense = spread([run["dense"]["accuracy"]], 2, 100)
        rows.append([f"all neurons (dense), {DATASETS[name.split('/')[0]]}", dense, "0", "", ""])
    return table(["neurons kept", "accuracy, one shot", "bits lost", "accuracy, retrained", "bits lost"], rows)


def encoder_peer() -> str:
    """Torch-Pruning beside this package."""
    content = results("encoder_peer")
    rows = []
    for name, each in content["results"].items():
        method, fraction = name.rsplit("/", 1)
        whose, criterion = method.split(" ", 1)
        criterion, *how = criterion.split(", ")
        label = f"{'Torch-Pruning' if whose == 'torch-pruning' else 'hf_midropout'}, {CRITERIA[criterion]}"
        numbers = [spread([each[field]], *FORMATS[field]) for field in FORMATS]
        seconds = "" if how else f"{each['seconds']:.0f}"
        rows.append(
            [", ".join([label.removesuffix(" (default)"), *how]), f"{100 * float(fraction):g}%", *numbers, seconds]
        )
    rows.append(["dense", "", spread([content["dense"]["accuracy"]], 2, 100), "0", ""])
    return table(["", "kept", "accuracy", "bits lost", "processor seconds"], rows)


def encoder_runs() -> str:
    """How many seeds and test rows there are."""
    seeds = {len(of_encoder(name)) for name in encoder_datasets()}
    rows, larger = results("encoder")["options"]["test_rows"], results(LARGER)["options"]["test_rows"]
    return (
        f"Three datasets: {'/'.join(map(str, sorted(seeds)))} seeds of each, {rows:,} test rows. AG News with fewer "
        f"neurons: 1 seed, {larger:,} test rows, fine-tuned on {results(LARGER)['options']['train_rows']:,} rows."
    )


def encoder_latency() -> str:
    rows = []
    for name, model in results("encoder_latency")["models"].items():
        layers = "ALBERT, six layers" if name == "own" else "BERT, six layers"
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
        encoder_short, encoder, encoder_narrow, encoder_retrained, encoder_peer, encoder_runs, encoder_latency,
        encoder_sizes, head_training, head_criteria, demo_accuracy, demo_bits, demo_controls, search_time,
        estimator_error, estimator_speed,
    )
} | study_tables.TABLES  # fmt: skip


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
