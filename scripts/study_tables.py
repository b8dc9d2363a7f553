"""The tables of the study, which `make_tables.py` fills in, from `benchmarks/results/study/`."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from hf_midropout.study.page import verdict
from hf_midropout.study.pairs import tally
from hf_midropout.study.tables import markdown, readable


RESULTS = Path(__file__).parent / "benchmarks" / "results"
STUDY = RESULTS / "study"


def read(name: str) -> pd.DataFrame:
    return pd.read_parquet(STUDY / f"{name}.parquet")


def study_verdict() -> str:
    return "\n".join(f"- {sentence}" for sentence in verdict(read("results"), read("curves")))


def study_accuracy() -> str:
    return markdown(readable(read("results"), "accuracy")).strip()


def study_loss() -> str:
    return markdown(readable(read("results"), "loss")).strip()


def study_calibration() -> str:
    return markdown(readable(read("results"), "expected_calibration_error")).strip()


def study_tally() -> str:
    found = read("differences")
    return markdown(tally(found[found.metric == "accuracy"])).strip()


def study_tally_loss() -> str:
    found = read("differences")
    return markdown(tally(found[found.metric == "loss"], higher_is_better=False)).strip()


def scoring_cost() -> str:
    measured = json.loads((RESULTS / "scoring_cost.json").read_text(encoding="utf-8"))
    lines = ["| against | from | to | exponent | of the four largest |", "| --- | ---: | ---: | ---: | ---: |"]
    for dimension, found in measured["results"].items():
        (first, *_, last), power = found["sizes"], found["exponent"]
        largest = found["exponent_of_the_four_largest"]
        lines.append(f"| {dimension} | {first:,} | {last:,} | {power:.2f} | {largest:.2f} |")
    return "\n".join(lines)


TABLES = {
    each.__name__.replace("_", "-"): each
    for each in (
        study_verdict, study_accuracy, study_loss, study_calibration, study_tally, study_tally_loss, scoring_cost,
    )
}  # fmt: skip
