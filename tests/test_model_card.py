import json
import re

import pytest
import yaml
from huggingface_hub import ModelCard
from test_report_page import CONTROLS, hostile_words

from hf_midropout.model_card import card_text, write_card


def test_it_says_what_a_card_must(folder):
    text = write_card(folder, repo_id="me/tiny").read_text()
    for phrase in (
        "# tiny",
        "26 → 13 neurons",
        "(12, 8, 6 → 6, 4, 3)",
        "| validation, before pruning | 26 | 0.7500 |",
        "| **test, this model** | 13 | 0.7500 | 0.7000 | 0.6000 | 0.1000 |",
        "None: no neurons were dropped at random",
        "| classifier.layers.0 | 12 | 6 | 0.",
        "fancyzhx/ag\\_news",
        "the best 50% of each layer are kept",
        "optimizer step 50 of 100",
        "## Limits",
        "transformers 5",
        "](figures/bits_per_layer.png)",
    ):
        assert phrase in text, phrase
    assert str(folder) not in text


def test_metadata_are_what_the_hub_reads(folder):
    card = ModelCard(card_text(folder, repo_id="me/tiny"))
    raw = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", str(card), re.S)[1])
    assert raw["base_model"] == "albert/albert-base-v2" and raw["datasets"] == ["fancyzhx/ag_news"]
    assert "license" not in raw  # of the user's own training: only they can say
    assert raw["pipeline_tag"] == "text-classification"
    assert raw["library_name"] == "transformers" and "hf_midropout" in raw["tags"]
    assert raw["model-index"][0]["name"] == "tiny"
    results = {(each.metric_type, each.metric_value) for each in card.data.eval_results}
    assert ("accuracy", 0.75) in results and ("f1", 0.7) in results
    assert {each.dataset_split for each in card.data.eval_results} == {"test"}


def test_its_snippet_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    (snippet,) = re.findall(r"```python\n(.*?)```", card_text(folder, name="compact"), re.S)
    exec(compile(snippet, "card", "exec"), {})
    assert "'score':" in capsys.readouterr().out


def test_controls_are_shown_where_a_report_has_them(folder):
    path = folder / "midropout_report.json"
    report = json.loads(path.read_text())
    report["pruning"]["rounds"][0]["controls"] = CONTROLS
    path.write_text(json.dumps(report))
    text = card_text(folder)
    assert "| mutual information (used here) | 0.6950 | 0.6800 | 0.9000 |" in text
    assert "| random (mean of several draws) | 0.6100 ± 0.0200 |" in text
    assert "None: no neurons" not in text


README = """---
license: mit
language: de
tags:
- mine
model-index:
- name: named
  results:
  - task:
      type: text-classification
    dataset:
      name: other
      type: other
    metrics:
    - type: accuracy
      value: 0.5
---

# My title

My words.
"""


def test_merged_with_a_readme_that_is_there_not_over_it(folder):
    once = card_text(folder, README, repo_id="me/tiny")
    card = ModelCard(once)
    assert card.data.license == "mit" and card.data.language == "de" and "mine" in card.data.tags
    assert card.data.base_model == "albert/albert-base-v2" and card.data.model_name == "named"
    assert {each.dataset_name for each in card.data.eval_results} == {"other", "fancyzhx/ag_news"}
    assert card.text.count("# My title") == 1 and "# tiny" not in card.text and "My words." in card.text
    # a second time changes nothing, and words after the generated part stay too
    assert card_text(folder, once, repo_id="me/tiny") == once
    more = card_text(folder, once + "\nAfterwards.\n", repo_id="me/tiny")
    assert more.count("## Results") == 1 and more.rstrip().endswith("Afterwards.")
    renamed = card_text(folder, card_text(folder, repo_id="me/old"), repo_id="me/new")
    assert "# new" in renamed and "# old" not in renamed and ModelCard(renamed).data.model_name == "new"
    assert "No metadata here." in card_text(folder, "No metadata here.")
    with pytest.raises(ValueError, match="README.md begins with metadata that cannot be read"):
        card_text(folder, "---\n{: [\n---\n")


def test_words_of_a_stranger_are_text(folder):
    path = folder / "midropout_report.json"
    path.write_text(path.read_text().replace("albert/albert-base-v2", "/home/someone/secret/albert"))
    hostile_words(folder)
    text = ModelCard(card_text(folder)).text
    assert "&lt;script&gt;" in text and "<script" not in text and "<img" not in text
    assert "/home/someone" not in text and "albert" in text


def test_without_a_report(folder):
    (folder / "midropout_report.json").unlink()
    text = card_text(folder)
    assert "There is no report of its training" in text and "6, 4, 3 neurons" in text and "figures/" not in text
