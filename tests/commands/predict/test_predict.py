"""`hf-midropout predict`: the classes that transformers' own pipeline gives, for texts from anywhere."""

import csv
import io
import json
import shutil

import pytest
from classifiers import save_classifiers
from datasets import Dataset
from transformers import pipeline

from hf_midropout.cli import main
from hf_midropout.commands.checkpoint import classifier as loading


TEXTS = ["ball goal team", "bank stock price", "a match in the market"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_folder):
    return save_classifiers(tmp_path_factory.mktemp("classifiers"), data_folder)


@pytest.fixture(scope="module")
def expected(folder):
    """By name of the classifier, label and probability of each of the texts, by transformers."""
    return {
        name: [
            (row["label"], row["score"]) for row in pipeline("text-classification", model=str(folder / name))(TEXTS)
        ]
        for name in ("dense", "out/compact")
    }


def predict(*options) -> int:
    return main(["predict", *map(str, options)])


def table(text: str) -> list[list[str]]:
    return [line.split("\t") for line in text.splitlines()]


@pytest.mark.parametrize("name", ["dense", "out/compact"])
def test_texts_from_anywhere(folder, name, expected, tmp_path, monkeypatch, capsys):
    rows = [[label, f"{probability:.4f}", text] for (label, probability), text in zip(expected[name], TEXTS)]  # noqa: B905
    assert predict(folder / name, "--text", *TEXTS) == 0
    assert table(capsys.readouterr().out) == rows
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(TEXTS) + "\n"))
    assert predict(folder / name, "--batch_size", "2") == 0
    assert table(capsys.readouterr().out) == rows
    (tmp_path / "texts.csv").write_text("\n".join(["sentence", *TEXTS]))
    assert predict(folder / name, "--dataset", tmp_path / "texts.csv") == 0
    assert table(capsys.readouterr().out) == rows


def test_files(folder, expected, tmp_path, capsys):
    Dataset.from_dict({"text": [TEXTS[0], " ", None, TEXTS[1]], "label": [None] * 4}).to_json(tmp_path / "rows.jsonl")
    options = [folder / "dense", "--dataset", tmp_path / "rows.jsonl", "--probabilities", "--output"]
    assert predict(*options, tmp_path / "new" / "found.jsonl") == 0
    printed = capsys.readouterr().out
    assert "Classified 2 of 4 rows: " in printed and "found.jsonl" in printed
    found = [json.loads(line) for line in (tmp_path / "new" / "found.jsonl").read_text().splitlines()]
    assert [row["text"] for row in found] == [TEXTS[0], " ", "", TEXTS[1]]  # all rows, in their order
    assert [row["label"] for row in found] == [expected["dense"][0][0], None, None, expected["dense"][1][0]]
    assert found[0]["probability"] == pytest.approx(expected["dense"][0][1], abs=1e-6)
    assert sum(found[0]["probabilities"].values()) == pytest.approx(1) and list(found[0]["probabilities"]) == [
        "money", "sport",
    ]  # fmt: skip
    assert predict(*options, tmp_path / "found.csv") == 0
    rows = list(csv.DictReader((tmp_path / "found.csv").open(encoding="utf-8", newline="")))
    assert [row["label"] for row in rows] == [row["label"] or "" for row in found]
    assert float(rows[3]["probability of sport"]) == found[3]["probabilities"]["sport"]
    capsys.readouterr()
    before = (tmp_path / "found.csv").read_bytes()
    assert predict(folder / "dense", "--text", "ball", "--output", tmp_path / "found.csv") == 1
    assert "give --overwrite" in capsys.readouterr().err and (tmp_path / "found.csv").read_bytes() == before
    assert predict(folder / "dense", "--text", "ball", "--output", tmp_path / "found.csv", "--overwrite") == 0
    assert (tmp_path / "found.csv").read_text().splitlines()[0] == "text,label,probability"


def test_a_link_is_replaced_and_not_followed(folder, tmp_path):
    (tmp_path / "mine.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to(tmp_path / "mine.csv")
    options = [folder / "dense", "--text", "ball", "--output", tmp_path / "link.csv"]
    assert predict(*options) == 1
    assert predict(*options, "--overwrite") == 0
    assert (tmp_path / "mine.csv").read_text() == "mine" and not (tmp_path / "link.csv").is_symlink()


def test_what_a_text_holds_does_not_reach_the_terminal_raw(folder, capsys):
    assert predict(folder / "dense", "--text", "ball\t\x1b[2Jgoal\n" + "x" * 5000) == 0
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 1 and "\x1b" not in printed and len(printed) < 400


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "a", "--dataset", "x/y"], "--dataset and --text: give one of the two"),
        (["--text", "a", "--split", "test"], "--split has no effect without --dataset"),
        (["--text_pair", "a"], "--text_pair: needs --text"),
        (["--text", "a", "b", "--text_pair", "c"], "--text has 2 texts and --text_pair 1: must be as many"),
        (["--text", " "], "--text: one of the texts is empty"),
        (["--text", "a", "--output", "x.json"], "--output x.json: the name must end in .jsonl or .csv"),
        ([], "No texts: give --text"),
    ],
)
def test_options_are_checked_before_all(monkeypatch, options, message, capsys):
    monkeypatch.setattr(loading, "find_checkpoint", lambda *_: pytest.fail("the checkpoint was looked for"))
    monkeypatch.setattr("sys.stdin", None)
    assert predict("anything", *options) == 1
    assert message in capsys.readouterr().err


def test_no_text_at_all(folder, monkeypatch, capsys):
    for text, message in (("", "The standard input is empty"), ("\n\n", "all rows are empty")):
        monkeypatch.setattr("sys.stdin", io.StringIO(text))
        assert predict(folder / "dense") == 1
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"hidden_act": "nope"}, "KeyError: 'nope'"), ({"hidden_size": "16"}, "'hidden_size' expected int, got str")],
)
def test_settings_that_no_model_has_are_one_line(folder, tmp_path, capsys, wrong, reason):
    spoilt = shutil.copytree(folder / "dense", tmp_path / "spoilt")
    config = json.loads((spoilt / "config.json").read_text())
    (spoilt / "config.json").write_text(json.dumps({**config, **wrong}))
    assert predict(spoilt, "--text", "ball") == 1
    assert f"{spoilt} cannot be loaded:" in (told := capsys.readouterr().err) and reason in told
