"""`hf-midropout evaluate`: the figures are those that one gets by hand, alone and beside another classifier."""

import json
import math
import shutil

import pytest
import torch
from classifiers import save_classifiers
from datasets import ClassLabel, Dataset, Features, Value
from sklearn.metrics import f1_score
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_midropout.cli import main
from hf_midropout.commands.checkpoint import classifier as loading
from hf_midropout.commands.evaluate import make_parser
from hf_midropout.commands.evaluate.arguments import EvaluateArguments


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_folder):
    return save_classifiers(tmp_path_factory.mktemp("classifiers"), data_folder)


def by_hand(checkpoint, data_folder) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and labels of the test rows, with transformers alone."""
    rows = Dataset.from_csv(str(data_folder / "test.csv"))
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
    inputs = tokenizer(rows["text"][:], padding=True, truncation=True, max_length=24, return_tensors="pt")
    with torch.no_grad():
        logits = model(**inputs).logits
    return logits, torch.tensor([model.config.label2id[label] for label in rows["label"]])


def evaluate(*options) -> int:
    return main(["evaluate", *map(str, options)])


@pytest.mark.parametrize("name", ["dense", "narrow", "guessing", "out", "out/compact"])
def test_figures_are_those_by_hand(folder, name, data_folder, tmp_path, capsys):
    file = tmp_path / "new" / "figures.json"
    assert evaluate(folder / name, "--dataset", data_folder, "--output", file) == 0
    printed = capsys.readouterr().out
    found = json.loads(file.read_text())
    logits, labels = by_hand(folder / ("out/compact" if name == "out" else name), data_folder)
    right = (logits.argmax(1) == labels).double()
    metrics = found["classifier"]["metrics"]
    assert metrics["accuracy"]["value"] == pytest.approx(float(right.mean()))
    assert metrics["accuracy"]["stderr"] == pytest.approx(float(right.std(correction=0)) / math.sqrt(30))
    assert metrics["macro_f1"]["value"] == pytest.approx(f1_score(labels, logits.argmax(1), average="macro"))
    loss = torch.nn.functional.cross_entropy(logits, labels)
    assert metrics["loss"]["value"] == pytest.approx(float(loss), rel=1e-5)
    assert 0 <= metrics["expected_calibration_error"]["value"] <= 1
    assert found["data"] == {
        "name": str(data_folder), "source": "local", "split": "test", "rows": 30, "labels": ["money", "sport"],
        "notes": [],
    }  # fmt: skip
    assert f"Accuracy {100 * float(right.mean()):.1f}% ± " in printed and "on 30 test rows" in printed
    assert " ".join(found["verdict"]) in " ".join(printed.split())
    assert printed.splitlines()[-1] == f'Next: hf-midropout predict {folder / name} --text "..."'
    assert max(map(len, printed.splitlines()[1:-2])) < 80


def test_another_classifier_beside_it(folder, data_folder, tmp_path, capsys):
    file = tmp_path / "figures.json"
    options = ["--dataset", data_folder, "--compare", folder / "dense", "--output", file]
    assert evaluate(folder / "guessing", *options) == 0
    printed = " ".join(capsys.readouterr().out.split())
    found = json.loads(file.read_text())
    (this, labels), (other, _) = (by_hand(folder / name, data_folder) for name in ("guessing", "dense"))
    rows = (this.argmax(1) == labels).double() - (other.argmax(1) == labels).double()
    assert rows.mean() < -0.2  # or this test shows nothing
    accuracy = found["paired"]["differences"]["accuracy"]
    assert accuracy["value"] == pytest.approx(float(rows.mean()))
    assert accuracy["stderr"] == pytest.approx(float(rows.std(correction=0)) / math.sqrt(30))
    for name, estimate in found["paired"]["differences"].items():
        assert estimate["value"] == pytest.approx(
            found["classifier"]["metrics"][name]["value"] - found["compared_with"]["metrics"][name]["value"]
        )
    assert found["paired"]["only_other_right"] == int((rows < 0).sum())
    assert found["paired"]["only_this_right"] == int((rows > 0).sum())
    assert "dense " in printed and f"difference {100 * float(rows.mean()):+.1f} ± " in printed
    assert "It is not shown to be less than 1 point below that of dense (p = " in printed


def test_a_classifier_is_no_worse_than_itself_by_a_margin(folder, data_folder, capsys):
    options = ["--dataset", data_folder, "--compare", shutil.copytree(folder / "dense", folder / "copy")]
    assert evaluate(folder / "dense", *options, "--margin", "0.2") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "+0.0 ± 0.0 points: no difference shown on 30 rows" in printed
    assert "It is shown to be less than 20 points below that of copy (p = " in printed


def test_its_own_file_is_written_anew_and_no_other(folder, data_folder, tmp_path, capsys):
    file = tmp_path / "figures.json"
    options = [folder / "dense", "--dataset", data_folder, "--output", file]
    assert evaluate(*options) == 0
    first = file.read_text()
    assert evaluate(*options) == 0 and file.read_text() == first
    file.write_text('{"kind": "mine"}')
    assert evaluate(*options) == 1
    assert "was not written by this command; name another, or give --overwrite" in capsys.readouterr().err
    assert file.read_text() == '{"kind": "mine"}'
    assert evaluate(*options, "--overwrite") == 0 and file.read_text() == first
    data = tmp_path / "rows.json"
    Dataset.from_csv(str(data_folder / "test.csv")).to_json(data)
    before = data.read_text()
    assert evaluate(folder / "dense", "--dataset", data, "--output", data, "--overwrite") == 1
    assert "the file that --dataset names" in capsys.readouterr().err and data.read_text() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "dev"], "--split dev: must be one of train, validation, test"),
        (["--margin", "2", "--compare", "x"], "--margin 2.0: must be in (0, 1)"),
        (["--margin", "0.1"], "--margin 0.1 has no effect without --compare"),
        (["--max_samples", "1"], "--max_samples 1: must be 2 or more"),
        (["--batch_size", "0"], "--batch_size 0: must be 1 or more"),
        (["--output", "x.txt"], "--output x.txt: the name must end in .json"),
        (["--dataset", "no.csv"], "There is no file or folder 'no.csv'"),
    ],
)
def test_options_are_checked_before_all(monkeypatch, options, message, capsys):
    monkeypatch.setattr(loading, "find_checkpoint", lambda *_: pytest.fail("the checkpoint was looked for"))
    assert evaluate("anything", *options) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_what_does_not_fit_is_told_before_weights_are_loaded(folder, data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(loading.Classifier, "load", lambda *_: pytest.fail("loaded"))
    changed = {
        "regression": {"problem_type": "regression"},
        "others": {"id2label": {"0": "art", "1": "sport"}, "label2id": {"art": 0, "sport": 1}},
        "three": {"id2label": {"0": "a", "1": "b", "2": "c"}, "label2id": {"a": 0, "b": 1, "c": 2}},
        "evil": {"model_type": "evil", "auto_map": {"AutoConfig": "code.Config"}},
    }
    for name, fields in changed.items():
        copy = shutil.copytree(folder / "dense", tmp_path / name)
        config = json.loads((copy / "config.json").read_text())
        (copy / "config.json").write_text(json.dumps({**config, **fields}))
    for options, message in (
        ([tmp_path / "regression"], f"--checkpoint {tmp_path / 'regression'}: it is for 'regression'"),
        ([folder / "dense", "--compare", tmp_path / "regression"], f"--compare {tmp_path / 'regression'}: it is for"),
        (
            [folder / "dense", "--compare", tmp_path / "others"],
            "class 0 is 'money' in the checkpoint and 'art' in the",
        ),
        ([folder / "dense", "--compare", "no/such"], "--compare no/such: Pulling no/such failed"),
        ([tmp_path / "others"], "labels that are no classes of the model: 'money' (15 rows)"),
        ([tmp_path / "evil"], "read that code, then agree with --trust_remote_code true"),
        ([folder / "dense", "--max_length", "25"], "--max_length 25: the model has positions for 24 tokens"),
        ([folder / "dense", "--split", "validation"], "--split 'validation': the data has train, test only"),
        ([folder / "dense", "--text_column", "words"], "--text_column 'words' is not a column"),
    ):
        assert evaluate(*options, "--dataset", data_folder) == 1
        error = capsys.readouterr().err
        assert message in error and "Traceback" not in error, error
    assert evaluate(tmp_path / "three") == 1
    assert "Without --dataset, the built-in data are taken, which do not fit" in capsys.readouterr().err


def test_numbers_for_labels_and_a_draw_of_rows(folder, data_folder, tmp_path, capsys):
    rows = Dataset.from_csv(str(data_folder / "test.csv")).cast(
        Features({"text": Value("string"), "label": ClassLabel(names=["sport", "money"])})
    )
    rows.to_parquet(tmp_path / "new.parquet")  # with names, in another order than the model's
    plain = [{"text": row["text"], "label": 1 - row["label"]} for row in rows]
    Dataset.from_list(plain).to_csv(tmp_path / "new.csv")
    told = []
    for name in ("new.parquet", "new.csv"):
        assert evaluate(folder / "dense", "--dataset", tmp_path / name, "--max_samples", "20") == 0
        told.append(capsys.readouterr().out.replace("\n    ", " "))
        assert f"{name}; 20 rows, cut to " in told[-1] and "20 of 30 rows drawn at random (seed 0)" in told[-1]
    assert "labels are taken for the model's classes in their order: 0 is money, 1 is sport" in told[1]
    accuracies = [next(line for line in text.splitlines() if line.startswith("accuracy")) for text in told]
    assert accuracies[0] == accuracies[1]


def test_options_from_a_file(tmp_path):
    (tmp_path / "run.yaml").write_text("dataset: a/b\nmargin: 0.02\ncompare: c/d\n")
    (args,) = make_parser().parse_args_into_dataclasses(["--checkpoint", "x", "--config", str(tmp_path / "run.yaml")])
    assert args == EvaluateArguments(checkpoint="x", dataset="a/b", margin=0.02, compare="c/d")
