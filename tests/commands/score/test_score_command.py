"""`hf-midropout score` as a stranger meets it: what is wrong is said in a line, before anything is computed."""

import json
import os
import re
import shutil

import pytest
import torch
from conftest import tiny_config
from datasets import Dataset
from transformers import AlbertConfig, AlbertModel, AutoConfig, RobertaConfig, RobertaForSequenceClassification

from hf_midropout import MIDropoutAlbertForSequenceClassification, NeuronScores
from hf_midropout.cli import main
from hf_midropout.commands.checkpoint.checks import check_label_names, position_limit
from hf_midropout.commands.score import command
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.scoring import neurons as scoring


SIZES = {
    "vocab_size": 60, "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip


@pytest.fixture(scope="module")
def output(tmp_path_factory, data_folder):
    """What a training of sport and money leaves: a folder whose `compact` is the checkpoint."""
    folder = tmp_path_factory.mktemp("training") / "out"
    texts = Dataset.from_csv(str(data_folder / "train.csv"))["text"][:]
    tokenizer = train_tokenizer(texts, vocab_size=60)
    torch.manual_seed(0)
    names = ["money", "sport"]
    config = tiny_config(
        vocab_size=len(tokenizer), num_labels=2, max_position_embeddings=24, id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
    )  # fmt: skip
    MIDropoutAlbertForSequenceClassification(config).save_pretrained(folder / "compact")
    tokenizer.save_pretrained(folder / "compact")
    return folder


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], ["classifier.layers.0", "classifier.layers.1", "classifier.layers.2"]),
        (["--targets", "encoder"], ["encoder.layer.0.ffn"]),
        (["--layers", "*.pooler"], ["albert.pooler"]),
    ],
)
def test_what_is_scored(output, data_folder, tmp_path, options, expected):
    file = tmp_path / "scores.json"
    assert main(["score", str(output), "--dataset", str(data_folder), "--output", str(file), *options]) == 0
    assert list(NeuronScores.load(file).layers) == expected


def error_of(capsys, *options: str) -> str:
    """The line that a failing command leaves."""
    assert main(["score", *map(str, options)]) == 1
    captured = capsys.readouterr()
    line = captured.err[captured.err.index("hf-midropout score: error: ") :]
    assert len(line.splitlines()) == 1 and "Traceback" not in captured.err
    return line


@pytest.fixture
def nothing_is_loaded(monkeypatch):
    monkeypatch.setattr(command, "find_checkpoint", lambda *_: pytest.fail("the checkpoint was looked for"))


def test_broken_checkpoints_are_refused(output, data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scoring, "score_neurons", lambda *_, **__: pytest.fail("scored"))
    folder = shutil.copytree(output / "compact", tmp_path / "copy")
    options = [folder, "--dataset", data_folder]
    (folder / "tokenizer.json").write_text("{")
    assert f"The tokenizer in {folder} cannot be loaded: " in error_of(capsys, *options)
    (folder / "tokenizer.json").unlink()
    assert f"{folder} has no tokenizer" in error_of(capsys, *options)
    # an encoder alone, whose classifier would be drawn at random
    model = AlbertModel(AlbertConfig(**{**SIZES, "id2label": {0: "money", 1: "sport"}}))
    model.save_pretrained(tmp_path / "encoder")
    shutil.copyfile(output / "compact" / "tokenizer.json", tmp_path / "encoder" / "tokenizer.json")
    options = [tmp_path / "encoder", "--dataset", data_folder, "--targets", "encoder"]
    assert "encoder lacks weights of its model: classifier." in error_of(capsys, *options)


@pytest.fixture
def nothing_is_computed(monkeypatch):
    monkeypatch.setattr(
        MIDropoutAlbertForSequenceClassification, "from_pretrained", lambda *_, **__: pytest.fail("load")
    )
    monkeypatch.setattr(scoring, "score_neurons", lambda *_, **__: pytest.fail("scored"))


def test_the_output_of_a_training_is_taken(output, data_folder, tmp_path, capsys):
    place = tmp_path / "new" / "folder"
    options = ["--dataset", data_folder, "--output", place / "scores.json", "--figure", place / "bits.png"]
    assert main(["score", str(output), *map(str, options)]) == 0
    printed = capsys.readouterr().out
    assert "72 samples" in printed and "validation: 8 rows cut from train" in printed
    first = NeuronScores.load(place / "scores.json")
    assert (place / "bits.png").read_bytes().startswith(b"\x89PNG")
    assert main(["score", str(output / "compact"), *map(str, options)]) == 0  # and its own file is written anew
    assert NeuronScores.load(place / "scores.json") == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--split", "foo"], "--split foo: must be one of train, validation, test"),
        (["--max_samples", "-5"], "--max_samples -5: must be 2 or more, or 0 for all"),
        (["--max_samples", "1"], "--max_samples 1: must be 2 or more, or 0 for all"),
        (["--seed", "-1"], "--seed -1: must be at least 0"),
        (["--batch_size", "0"], "--batch_size 0: must be 1 or more"),
        (["--max_length", "2"], "--max_length 2: must be 3 or more"),
        (["--figure", "x.xyz"], "--figure x.xyz: the name must end in .png"),
        (["--output", "scores.txt"], "--output scores.txt: the name must end in .json"),
        (["--dataset", "train.cvs.csv"], "There is no file or folder 'train.cvs.csv'"),
        (["--figure", "folder.png"], "folder.png: this is a folder"),
        (["--figure", "file/x.png"], "is a file, and no folder can be made in it"),
        (["--output", "other.json"], "other.json: this file exists and holds no scores"),
    ],
)
def test_options_are_checked_before_all(nothing_is_loaded, options, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("")
    (tmp_path / "other.json").write_text('{"mine": 1}')
    assert message in error_of(capsys, "anything", *options)
    assert (tmp_path / "other.json").read_text() == '{"mine": 1}'


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs a folder that cannot be written to")
def test_folders_that_cannot_be_written_to(nothing_is_loaded, tmp_path, capsys):
    tmp_path.chmod(0o500)
    assert "cannot be written to" in error_of(capsys, "anything", "--output", tmp_path / "scores.json")


def test_folders_that_cannot_be_written_to_are_asked_for(nothing_is_loaded, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert f"{tmp_path} cannot be written to" in error_of(capsys, "x", "--output", tmp_path / "new" / "scores.json")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("outt", "--checkpoint outt: Pulling outt failed: .* There is no folder of that name here either"),
        ("./outt", r"There is no file or folder './outt'. Near names in its folder: out"),
        ("out/compat", "There is no file or folder 'out/compat'. Near names in its folder: compact"),
        ("out/compact/config.json", "this is a file; name the folder"),
        ("user/model", "--checkpoint user/model: Pulling user/model failed: HF_HUB_OFFLINE"),
        ("", "The name '' is empty"),
        ("empty", "empty: .*config.json"),
    ],
)
def test_checkpoints_that_are_not_there(output, name, message, tmp_path, monkeypatch, capsys):
    (tmp_path / "out").symlink_to(output)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    line = error_of(capsys, "--checkpoint", name)
    assert re.search(message, line), line
    assert "snapshot" not in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layers", "*.fnn"], r"--layers '*.fnn' matches none of the 43 modules"),
        (["--layers", "*", "--targets", "all"], r"--layers ['*'] and --targets 'all': give one of them"),
        (["--max_length", "25"], "--max_length 25: the model has positions for 24 tokens"),
        (["--dataset", "data.parquet"], "There is no file or folder 'data.parquet'"),
        (
            ["--dataset", "semicolon.csv"],
            "its only column is 'text;label', but it needs a text and a label. Give --delimiter ';'",
        ),
        (["--dataset", "rows.csv", "--dataset_config", "x"], "--dataset_config 'x' is for Hub datasets"),
        (["--dataset", "rows.csv", "--text_column", "words"], "--text_column 'words' is not a column"),
        (["--dataset", "rows.csv", "--encoding", "latin-99"], "--encoding 'latin-99' is unknown"),
        (["--dataset", "other.csv"], "class 0 is 'art' in the data and 'money' in the model"),
    ],
)
def test_data_are_checked_before_the_model_is_loaded(
    output, nothing_is_computed, options, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    rows = {"text": ["ball goal", "bank stock"] * 20, "label": ["sport", "money"] * 20}
    Dataset.from_dict(rows).to_csv("rows.csv")
    Dataset.from_dict(rows).to_csv("semicolon.csv", sep=";")
    Dataset.from_dict({**rows, "label": ["sport", "art"] * 20}).to_csv("other.csv")
    assert message in error_of(capsys, output, *options)


def test_the_built_in_data_are_not_read_for_a_model_of_other_classes(output, nothing_is_computed, monkeypatch, capsys):
    monkeypatch.setattr(command, "load_data", lambda *_: pytest.fail("data were loaded"))
    assert "Without --dataset, the built-in data are taken, which do not fit. The data has 5" in error_of(
        capsys, output
    )


def test_a_split_that_the_data_have_not(output, nothing_is_computed, tmp_path, capsys):
    rows = {"text": ["ball goal", "bank stock"] * 20, "label": ["sport", "money"] * 20}
    Dataset.from_dict(rows).to_csv(tmp_path / "rows.csv")
    line = error_of(capsys, output, "--dataset", tmp_path / "rows.csv", "--split", "test")
    assert "--split test: the data has train, validation only" in line


def test_a_split_to_score_on_is_enough(output, data_folder, tmp_path, capsys):
    """Nothing is trained: a training split is no more needed than for `evaluate`."""
    shutil.copy(data_folder / "test.csv", tmp_path)
    assert main(["score", str(output), "--dataset", str(tmp_path), "--split", "test"]) == 0
    assert "30 samples" in capsys.readouterr().out
    assert "--split train: the data has test only" in error_of(capsys, output, "--dataset", tmp_path)


def test_a_half_precision_checkpoint_is_scored_in_float32(output, data_folder, tmp_path, monkeypatch):
    folder = shutil.copytree(output / "compact", tmp_path / "half")
    MIDropoutAlbertForSequenceClassification.from_pretrained(folder).half().save_pretrained(folder)
    scored = []
    monkeypatch.setattr(scoring, "score_neurons", lambda model, *args, **kwargs: scored.append(model.dtype) or "")
    assert main(["score", str(folder), "--dataset", str(data_folder)]) == 0
    assert scored == [torch.float32]


def test_the_options_that_help_do_help(output, tmp_path, capsys):
    rows = {"text": ["bällé goal", "bank stock"] * 20, "label": ["sport", "money"] * 20}
    Dataset.from_dict(rows).to_pandas().to_csv(
        tmp_path / "rows.csv", sep=";", encoding="latin-1", index=False, header=False
    )
    options = ["--delimiter", ";", "--encoding", "latin-1", "--column_names", "text", "label"]
    assert main(["score", str(output), "--dataset", str(tmp_path / "rows.csv"), *options]) == 0
    assert "36 samples" in capsys.readouterr().out


def test_rows_without_a_number_are_dropped_with_a_count(output, tmp_path, capsys):
    folder = shutil.copytree(output, tmp_path / "regression")
    config = json.loads((folder / "compact" / "config.json").read_text())
    (folder / "compact" / "config.json").write_text(json.dumps({**config, "problem_type": "regression"}))
    rows = {"text": ["ball goal"] * 40, "label": [None, *range(39)]}
    Dataset.from_dict(rows).to_json(tmp_path / "rows.jsonl")
    assert main(["score", str(folder), "--dataset", str(tmp_path / "rows.jsonl")]) == 0
    printed = capsys.readouterr().out
    assert "train: 1 row without a text or a label dropped" in printed and "39 samples" in printed


def test_positions_of_other_architectures(output):
    assert (
        position_limit(MIDropoutAlbertForSequenceClassification(AutoConfig.from_pretrained(output / "compact"))) == 24
    )
    config = RobertaConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=34,
    )  # fmt: skip
    assert position_limit(RobertaForSequenceClassification(config)) == 32


def test_thousands_of_classes_are_listed_in_short():
    names = {index: f"class {index}" for index in range(1000)}
    with pytest.raises(ValueError, match="1001 classes .class 0, .*, ... and 993 more.") as caught:
        check_label_names(names, [f"class {index}" for index in range(999)] + ["other", "another"])
    assert len(str(caught.value)) < 300
