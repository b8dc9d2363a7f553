"""
Writes `model_cards/` from the results in `scripts/benchmarks/results/`. Never edit the cards by hand.

    python scripts/make_model_cards.py
"""

from __future__ import annotations

from pathlib import Path

from hf_midropout.reporting.model_card import compose
from hf_midropout.reporting.report import Report
from hf_midropout.utils.files import write_text


ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "scripts" / "benchmarks" / "results"
# The report of each reference run, and that of the same training without pruning.
CARDS = {
    "albert-tiny-python-docs-midropout": ("python_docs", None),
    "albert-tiny-python-docs-midropout-search": ("python_docs_search", None),
    "minilm-albert-ag-news-midropout": ("ag_news_pruned", "ag_news_dense"),
}


def report_called(stem: str) -> Report:
    """A report among the results."""
    report = Report.load(RESULTS, stem)
    if report is None:
        raise FileNotFoundError(f"{RESULTS} has no report {stem}.json.")
    return report


def card_of(name: str) -> str:
    """The card called `name`."""
    pruned, dense = CARDS[name]
    report = report_called(pruned)
    if dense:
        report.dense_test = report_called(dense).test
    config = {
        "model_type": "midropout_albert",
        "head_widths": report.model.head_widths_after,
        "id2label": {str(index): label for index, label in enumerate(report.data.labels)},
    }
    card = compose(report, config, "", name, [])
    card.data.license = "apache-2.0"  # of our own runs
    return str(card)


def main() -> None:
    for name in CARDS:
        write_text(ROOT / "model_cards" / f"{name}.md", card_of(name))
        print(f"model_cards/{name}.md")


if __name__ == "__main__":
    main()
