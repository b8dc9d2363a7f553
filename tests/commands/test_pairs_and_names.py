"""Pairs of texts and names of labels, through the commands: from training to predictions."""

import json
import shutil

import pytest
from datasets import Dataset
from transformers import AutoConfig, pipeline

from hf_midropout.cli import main
from hf_midropout.reporting.report import Report


pytestmark = pytest.mark.usefixtures("blank_figures")

READING = ["--text_column", "premise", "hypothesis", "--label_names", "other", "same"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    words = ["ball goal team", "bank stock price", "socket file thread"]
    for split, count in (("train", 160), ("test", 40)):
        rows = [
            {
                "premise": f"{words[index % 3]} {index}",
                "hypothesis": words[(index + index % 2) % 3],
                "label": index % 2,
            }
            for index in range(count)
        ]
        Dataset.from_list([{**row, "label": 1 - row["label"]} for row in rows]).to_csv(folder / f"{split}.csv")
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "out"
    options = ["--max_steps", "6", "--head_widths", "8", "6", "--output_dir", str(folder), "--use_cpu", "true"]
    assert main(["train", "--dataset", str(data), *READING, *options]) == 0
    return folder / "compact"


def test_a_training_on_pairs(trained):
    assert AutoConfig.from_pretrained(trained).id2label == {0: "other", 1: "same"}
    report = Report.load(trained)
    assert report.data.pairs and report.data.labels == ["other", "same"]
    card = (trained / "README.md").read_text()
    assert "A text classifier (2 classes: other, same)" in card
    assert (
        'classify({"text": "The first text of a pair.", "text_pair": "The second text of it."}, truncation=True)'
        in card
    )
    assert "pairs of texts in the columns" in card and "labels are named as told: 0 is other, 1 is same" in card


def test_predictions_for_pairs_are_those_of_the_pipeline(trained, data, tmp_path, capsys):
    pair = {"text": "ball goal", "text_pair": "bank stock"}
    (expected,) = [pipeline("text-classification", model=str(trained))(pair)]
    expected = expected[0] if isinstance(expected, list) else expected
    assert main(["predict", str(trained), "--text", "ball goal", "--text_pair", "bank stock"]) == 0
    shown = f"{expected['label']}\t{expected['score']:.4f}\tball goal\tbank stock\n"
    assert capsys.readouterr().out.endswith(shown)
    file = tmp_path / "found.jsonl"
    options = ["--dataset", str(data), "--text_column", "premise", "hypothesis", "--output", str(file)]
    assert main(["predict", str(trained), *options]) == 0
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 40 and rows[1]["text_pair"] == "socket file thread"


def test_other_commands_take_pairs(trained, data, tmp_path, capsys):
    for command, more in (("evaluate", []), ("score", ["--max_samples", "50"])):
        assert main([command, str(trained), "--dataset", str(data), *READING, *more]) == 0, command
    assert main(["evaluate", str(trained), "--dataset", str(data)]) == 1
    error = capsys.readouterr().err
    assert "Name one with `--text_column`, or both for pairs of texts, in the order premise hypothesis" in error


def test_pruning_names_the_classes_of_a_model_without_names(trained, data, tmp_path, capsys):
    unnamed = shutil.copytree(trained, tmp_path / "unnamed")
    config = json.loads((unnamed / "config.json").read_text())
    names = {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}
    (unnamed / "config.json").write_text(json.dumps({**config, **names}))
    options = ["--max_samples", "100", "--keep", "0.5", "--no_latency", "--no_compare", "--output_dir"]
    assert main(["prune", str(unnamed), "--dataset", str(data), *READING, *options, str(tmp_path / "small")]) == 0
    assert AutoConfig.from_pretrained(tmp_path / "small").id2label == {0: "other", 1: "same"}
    assert "--label_names other same" in Report.load(tmp_path / "small").encoder.command
    capsys.readouterr()
    assert main(["predict", str(unnamed), "--text", "a", "--text_pair", "b", "--label_names", "x", "y"]) == 0
    assert capsys.readouterr().out.split("\t")[0] in ("x", "y")
    assert main(["predict", str(trained), "--text", "a", "--label_names", "x", "y"]) == 1
    assert "the model's classes have names: other, same" in capsys.readouterr().err
