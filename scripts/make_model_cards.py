"""
Writes `model_cards/` from the results in `scripts/benchmarks/results/`. Never edit the cards by hand.

    python scripts/make_model_cards.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hf_midropout.reporting.model_card import compose
from hf_midropout.utils.files import write_text


ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "scripts" / "benchmarks" / "results"
# The card of each reference run: the file with its report, and where in that file.
CARDS = {
    "albert-tiny-python-docs-midropout": ("python_docs.json", None),
    "albert-tiny-python-docs-midropout-search": ("python_docs_search.json", None),
    "minilm-albert-ag-news-midropout": ("ag_news.json", "pruned"),
}


def card_of(name: str) -> str:
    """The card called `name`."""
    file, arm = CARDS[name]
    result = json.loads((RESULTS / file).read_text(encoding="utf-8"))
    report: dict[str, Any] = result[arm] if arm else result
    if arm:  # the arm that trained alike and dropped nothing
        report["dense_test"] = result["dense"]["test"]
    config = {
        "model_type": "midropout_albert",
        "head_widths": report["model"]["head_widths_after"],
        "id2label": {str(index): label for index, label in enumerate(report["data"]["labels"])},
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
