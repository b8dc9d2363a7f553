import json
import re
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard
from test_report_page import BASELINES, hostile_words

from hf_midropout.reporting.building import source_of
from hf_midropout.reporting.citation import CITATION
from hf_midropout.reporting.model_card import card_text, write_card


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


@pytest.mark.parametrize(("base", "data"), [("hub", "hub"), ("local", "hub"), ("hub", "local"), (None, None)])
def test_links_only_to_what_was_loaded_from_the_hub(folder, base, data):
    """A path such as models/mini looks like the id of someone's repository."""
    path = folder / "midropout_report.json"
    report = json.loads(path.read_text())
    report["model"] |= {"base_model": "models/mini", "base_model_source": base}
    report["data"] |= {"name": "data/parquet_full", "source": data}
    if base is None:
        del report["model"]["base_model_source"], report["data"]["source"]
    path.write_text(json.dumps(report))
    card = ModelCard(card_text(folder, repo_id="me/tiny"))
    assert card.data.base_model == ("models/mini" if base == "hub" else None)
    assert card.data.datasets == (["data/parquet_full"] if data == "hub" else None)
    assert ("models/mini" in card.text) == (base == "hub") and ("trained from mini" in card.text) == (base != "hub")
    assert ("data/parquet" in str(card)) == (data == "hub")


def test_source_of_a_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache" / "models--models--mini"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    assert source_of(None) == source_of("tiny ALBERT, made on the spot") == "builtin"
    assert source_of("./models/mini") == source_of("models/mini") == source_of("a--b/..") == "local"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    (cache / "snapshots" / ("0" * 40)).mkdir(parents=True)
    (cache / "snapshots" / ("0" * 40) / "config.json").write_text("{}")
    assert source_of("models/mini") == "hub"
    (tmp_path / "models" / "mini").mkdir(parents=True)
    assert source_of("models/mini") == "local"


def plain_checkpoint(folder, **values):
    """The files that a card is made of, of a classifier that never met this package."""
    folder.mkdir()
    config = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "id2label": {"0": "no", "1": "yes"},
    }
    (folder / "config.json").write_text(json.dumps(config | values))
    return folder


def test_any_classifier_gets_a_card_that_invents_nothing(tmp_path):
    text = card_text(plain_checkpoint(tmp_path / "bert"), repo_id="me/bert")
    assert "(2 classes: no, yes) of the architecture BertForSequenceClassification." in text
    assert "There is no report of its training" in text
    assert (
        "ALBERT" not in text and "hf_midropout" not in text.replace("<!-- hf_midropout", "") and "pruning" not in text
    )
    assert "license" not in text and "import hf" not in text and 'model="me/bert"' in text
    text = card_text(plain_checkpoint(tmp_path / "number", id2label={"0": "LABEL_0"}, architectures=None))
    assert "gives a number for a text of the architecture bert." in text
    multi = plain_checkpoint(tmp_path / "multi", problem_type="multi_label_classification")
    assert "with 2 binary labels (no, yes)" in card_text(multi)
    with pytest.raises(ValueError, match="BertForMaskedLM.*must be a ...ForSequenceClassification"):
        card_text(plain_checkpoint(tmp_path / "lm", architectures=["BertForMaskedLM"]))


def test_how_to_install_is_what_works(folder):
    text = card_text(folder)
    assert "`pip install .` in a clone of its repository" in text
    assert "pip install hf" not in text and "pypi.org" not in text


EVIL = (
    "<!-- hf_midropout: end --><script>x</script> [l](http://evil.org) https://evil.org www.evil.org a@evil.org\n# H"
)


def spoil(content, word: str, keep=()):
    """`content` with `word` added to every text in it, but for keys of `keep`."""
    if isinstance(content, dict):
        return {key: value if key in keep else spoil(value, word, keep) for key, value in content.items()}
    if isinstance(content, list):
        return [spoil(value, word, keep) for value in content]
    return content + word if isinstance(content, str) else content


def test_no_text_of_a_report_is_markup_and_a_card_does_not_grow(folder):
    path = folder / "midropout_report.json"
    report = json.loads(path.read_text())
    report = spoil(
        report, EVIL, ("action", "criterion", "scope", "reconstruction", "threshold", "problem_type", "sha256")
    )
    report["hf_midropout_version"] = report["environment"]["python"] = EVIL
    report["training_arguments"] |= {"seed": EVIL, "learning_rate": EVIL}
    report["pruning"]["config"] |= {"reconstruction": EVIL, "criterion": EVIL}
    report["data"]["rows"] = {EVIL: 10}
    report["test"]["split"] = EVIL
    path.write_text(json.dumps(report))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"id2label": dict.fromkeys("012", EVIL)}))
    once = card_text(folder, repo_id="me/tiny")
    text = ModelCard(once).text
    assert "<script" not in text and "](http://" not in text and "https://" not in text
    assert "www.evil" not in text and "a@evil" not in text and not re.search(r"^# H", text, re.M)
    assert text.count("hf_midropout: end -->") == 1 and text.rstrip().endswith("<!-- hf_midropout: end -->")
    assert card_text(folder, once, repo_id="me/tiny") == once
    metadata = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", once, re.S)[1])
    assert set(metadata) <= {
        "base_model",
        "datasets",
        "library_name",
        "metrics",
        "model-index",
        "pipeline_tag",
        "tags",
    }
    assert "datasets" not in metadata and "base_model" not in metadata


def test_its_snippet_runs(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder.parent)
    (snippet,) = re.findall(r"```python\n(.*?)```", card_text(folder, name="compact"), re.S)
    exec(compile(snippet, "card", "exec"), {})
    assert "'score':" in capsys.readouterr().out


def test_controls_are_shown_where_a_report_has_them(folder):
    path = folder / "midropout_report.json"
    report = json.loads(path.read_text())
    report["pruning"]["pruning_steps"][0]["baselines"] = BASELINES
    path.write_text(json.dumps(report))
    text = card_text(folder)
    assert "| mutual information (used here) | 0.6950 | 0.6800 | 0.9000 |" in text
    assert "| random (mean of several draws) | 0.6100 ± 0.0200 |" in text
    assert "None: no neurons" not in text


def test_answers_language_command_and_citation(folder):
    path = folder / "midropout_report.json"
    report = json.loads(path.read_text())
    report["examples"] = [
        {"text": "Opens a socket.", "label": "b", "score": 0.91234}, {"text": "Reads it.", "label": "a", "score": 0.5},
    ]  # fmt: skip
    report |= {"language": ["en"], "command": "hf-midropout train --keep 0.5"}
    path.write_text(json.dumps(report))
    text = card_text(folder, repo_id="me/tiny")
    metadata = yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.S)[1])
    assert metadata["widget"] == [{"text": "Opens a socket."}, {"text": "Reads it."}]
    assert metadata["language"] == ["en"]
    assert "print(classify(\"Opens a socket.\", truncation=True))\n# [{'label': 'b', 'score': 0.9123}]\n" in text
    assert "```bash\nhf-midropout train --keep 0.5\n```" in text
    assert text.count("@article{") == text.count("@software{") == 1 and "## Intended use" in text
    for part in ("LABEL", "Its classes have no names", "Test accuracy 75.0% with 50% of the neurons of the head"):
        assert part in text
    # of a stranger's report nothing becomes markup, and what could is left out
    report["examples"][0]["label"] = report["command"] = "```\n# H\n[l](http://evil.org)"
    path.write_text(json.dumps(report))
    text = card_text(folder, repo_id="me/tiny")
    assert "evil" not in text and "## Command" not in text and 'classify("Reads it.", truncation=True)' in text
    (snippet,) = re.findall(r"```python\n(.*?)```", text, re.S)
    compile(snippet, "card", "exec")


def test_the_citation_is_that_of_the_package():
    cited = yaml.safe_load((Path(__file__).parents[2] / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["title"] in CITATION and cited["references"][0]["title"] in CITATION
    assert all(author["family-names"] in CITATION for author in cited["references"][0]["authors"])


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
