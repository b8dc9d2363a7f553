"""The cards of our own runs are what the script makes of the committed results."""

import sys
from pathlib import Path

import pytest
from huggingface_hub import ModelCard


ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from make_model_cards import CARDS, card_of  # noqa: E402


def test_there_is_a_card_for_each_run():
    assert {path.stem for path in (ROOT / "model_cards").iterdir()} == set(CARDS)


@pytest.mark.parametrize("name", CARDS)
def test_cards_are_generated_never_edited(name):
    text = (ROOT / "model_cards" / f"{name}.md").read_text(encoding="utf-8")
    assert text == card_of(name), "run python scripts/make_model_cards.py"
    card = ModelCard(text)
    assert card.data.pipeline_tag == "text-classification" and card.data.eval_results
    assert "../shared" not in text and "/home" not in text
