"""`hf-midropout reproduce` as a stranger meets it."""

from dataclasses import replace

import pytest
import torch
from conftest import tiny_config
from transformers import AlbertConfig, AlbertModel

from hf_midropout.cli import main
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.study import plan


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A stock encoder, without a classifier."""
    folder = tmp_path_factory.mktemp("encoder")
    tokenizer = train_tokenizer(
        ["ball goal team match coach bank stock price market trade item 0123456789"] * 9, vocab_size=60
    )
    config = tiny_config(vocab_size=len(tokenizer)).to_dict()
    torch.manual_seed(0)
    fields = ("embedding_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    AlbertModel(AlbertConfig(vocab_size=len(tokenizer), **{name: config[name] for name in fields})).save_pretrained(
        folder
    )
    tokenizer.save_pretrained(folder)
    return folder


def test_from_texts_to_the_page_and_on(encoder, data_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(plan.SUITES, "quick", replace(plan.SUITES["quick"], steps={200: 10}))
    options = ["--model", str(encoder), "--dataset", str(data_folder), "--output_dir", str(tmp_path / "study")]
    options += ["--size", "40", "--seeds", "2", "--workers", "1", "--max_length", "8"]
    assert main(["reproduce", *options, "--method", "none", "mi_prune"]) == 0
    assert "2 runs: 2 methods, 1 datasets, 1 sizes." in capsys.readouterr().out
    page = tmp_path / "study" / "README.md"
    assert "MI-Dropout (prune)" in page.read_text() and "Dropout 0.3" not in page.read_text()
    assert main(["reproduce", *options, "--method", "none", "mi_prune", "mi_and_dropout"]) == 0
    assert "1 runs made, 2 were there." in capsys.readouterr().out
    assert "Dropout 0.3" in page.read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--suite", "big"], "--suite big: must be one of paper, quick."),
        (["--method", "none", "magic"], "--method magic: must be among none, rewound,"),
        (["--method", "none", "none"], "--method none: comes 2 times"),
        (["--seeds", "1"], "--seeds 1: must be 2 to 999"),
        (["--size", "5"], "--size 5: must be 20 rows or more, or 0 for all."),
        (["--workers", "0"], "--workers 0: must be 1 or more."),
        (["--dataset", "a/news", "b/news"], "--dataset news: comes 2 times"),
        (["--max_length", "2"], "--max_length 2: must be 3 or more."),
    ],
)
def test_refused_at_once(options, message, tmp_path, capsys):
    assert main(["reproduce", "--output_dir", str(tmp_path / "study"), *options]) == 1
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_more_rows_than_there_are(encoder, data_folder, tmp_path, capsys):
    options = ["--model", str(encoder), "--dataset", str(data_folder), "--output_dir", str(tmp_path / "study")]
    assert main(["reproduce", *options, "--size", "500"]) == 1
    assert "size 500: the training split has 72 rows" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_something_else_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.docx").write_text("mine")
    assert main(["reproduce", "--output_dir", str(tmp_path)]) == 1
    assert "holds thesis.docx, and no study" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.docx"]


def test_a_page_of_someone_else_is_not_overwritten(tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    assert main(["reproduce", "--output_dir", str(tmp_path)]) == 1
    assert "README.md" in capsys.readouterr().err and (tmp_path / "README.md").read_text() == "mine"


def test_list(capsys):
    assert main(["reproduce", "--list_methods"]) == 0
    out = capsys.readouterr().out
    assert "suite paper: 10 seeds, sizes 200, 2000, all" in out and "mi_prune" in out
