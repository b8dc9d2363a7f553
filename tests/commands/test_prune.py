"""`hf-midropout prune`: a fine-tuned classifier gets smaller, and stock transformers loads it."""

import json

import pytest
import torch
from datasets import Dataset
from transformers import AlbertConfig, AlbertForSequenceClassification, BertConfig, BertForSequenceClassification

from hf_midropout.cli import main
from hf_midropout.models.builtin import train_tokenizer


SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
NAMES = {"id2label": {0: "money", 1: "sport"}, "label2id": {"money": 0, "sport": 1}}


def save(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tokenizer(data_folder):
    return train_tokenizer(Dataset.from_csv(str(data_folder / "train.csv"))["text"][:], vocab_size=60)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory, tokenizer):
    torch.manual_seed(0)
    model = BertForSequenceClassification(
        BertConfig(vocab_size=len(tokenizer), max_position_embeddings=24, **SIZES, **NAMES)
    )
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.3)
    return save(model.half(), tokenizer, tmp_path_factory.mktemp("classifier") / "bert")


def test_what_is_saved_is_smaller_and_stock(classifier, data_folder, tmp_path, capsys, run_stock):
    options = ["--dataset", str(data_folder), "--keep", "0.5", "--max_samples", "100", "--output_dir"]
    assert main(["prune", str(classifier), *options, str(tmp_path / "small")]) == 0
    printed = capsys.readouterr().out
    assert "32 of 64 neurons in each of 2 layers" in printed and "prediction_information (saved)" in printed
    report = json.loads((tmp_path / "small" / "midropout_pruning.json").read_text())
    assert report["layers"] == {f"encoder.layer.{index}.ffn": {"units": 64, "kept": 32} for index in range(2)}
    assert report["parameters"]["dense"] - report["parameters"]["pruned"] == 2 * 32 * (2 * 16 + 1)
    assert set(report["results"]) == {"dense", "prediction_information", "std_times_norm", "magnitude", "random"}
    assert report["results"]["prediction_information"]["bits_lost"] < report["results"]["magnitude"]["bits_lost"]
    code = (
        "import sys; from transformers import pipeline\n"
        "classify = pipeline('text-classification', model=sys.argv[1])\n"
        "print(classify.model.config.intermediate_size, classify.model.dtype, classify('ball goal')[0]['label'])"
    )
    width, dtype, label = run_stock(code, tmp_path / "small")[-1].split()
    assert (width, dtype) == ("32", "torch.float16") and label in ("money", "sport")  # the dtype of the base


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--keep", "1"], "--keep 1.0: would drop nothing"),
        (["--keep", "0"], "--keep 0.0: would drop everything"),
        (["--max_samples", "99"], "--max_samples 99: must be 100 rows or more"),
        (["--criterion", "luck"], "--criterion luck: must be one of mutual_information"),
        (["--max_length", "25"], "--max_length 25: the model has positions for 24 tokens"),
        (["--split", "dev"], "--split dev: the data has train"),
    ],
)
def test_bad_options_are_told(classifier, data_folder, tmp_path, capsys, options, message):
    given = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small"), *options]
    assert main(["prune", str(classifier), *given]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(classifier, data_folder, tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert main(["prune", str(classifier), "--dataset", str(data_folder), "--output_dir", str(tmp_path)]) == 1
    assert "exists already and is not empty" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_models_that_cannot_be_pruned(tokenizer, data_folder, tmp_path, capsys):
    several = {"problem_type": "multi_label_classification", "vocab_size": len(tokenizer), "embedding_size": 8}
    model = AlbertForSequenceClassification(AlbertConfig(**several, **SIZES, **NAMES))
    folder = save(model, tokenizer, tmp_path / "several")
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small")]
    assert main(["prune", str(folder), *options]) == 1
    assert "it is for 'multi_label_classification'; must be a classifier with one class" in capsys.readouterr().err
