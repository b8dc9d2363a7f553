"""`hf-midropout prune --scope global`: layers of different widths, and the commands that come after."""

import contextlib
import io
import json
import shutil

import pytest
import torch
from classifiers import NAMES, SIZES
from datasets import Dataset
from transformers import AlbertConfig, AlbertForSequenceClassification, BertConfig, BertForSequenceClassification

from hf_midropout.cli import main
from hf_midropout.model_types import UNEVEN_CODE
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.reporting.report import Report


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory, data_folder):
    """`bert`, whose first layer tells more than its second, and `albert`, which has one layer, applied twice."""
    folder = tmp_path_factory.mktemp("classifiers")
    tokenizer = train_tokenizer(Dataset.from_csv(str(data_folder / "train.csv"))["text"][:], vocab_size=60)
    sizes = {**SIZES, "num_hidden_layers": 2, "intermediate_size": 64, "vocab_size": len(tokenizer), **NAMES}
    torch.manual_seed(0)
    bert = BertForSequenceClassification(BertConfig(**sizes))
    for parameter in bert.parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, 0.3)
    bert.bert.encoder.layer[1].output.dense.weight.data.mul_(0.1)
    models = {"bert": bert, "albert": AlbertForSequenceClassification(AlbertConfig(embedding_size=8, **sizes))}
    for name, model in models.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def uneven(classifiers, data_folder, tmp_path_factory):
    """What the command leaves, and what it prints."""
    folder, printed = tmp_path_factory.mktemp("pruned") / "uneven", io.StringIO()
    options = ["--dataset", str(data_folder), "--keep", "0.5", "--scope", "global", "--output_dir", str(folder)]
    with contextlib.redirect_stdout(printed):
        assert main(["prune", str(classifiers / "bert"), *options, "--no_latency"]) == 0
    return folder, printed.getvalue()


def test_what_is_left(uneven):
    folder, printed = uneven
    config, encoder = json.loads((folder / "config.json").read_text()), Report.load(folder).encoder
    kept = [group.kept for group in encoder.groups.values()]
    assert sum(kept) == encoder.kept == 64 and kept[0] > kept[1]
    assert config["per_layer_config"] == {"0": {"intermediate_size": kept[0]}}
    assert config["intermediate_size"] == kept[1] and config["model_type"] == "uneven_bert"
    assert {path.name for path in folder.glob("*.py")} == set(UNEVEN_CODE)
    assert "64 of 128 neurons in 2 layers" in printed and "trust_remote_code=True" in printed
    assert all(len(line) < 80 for line in printed.splitlines() if "/" not in line)
    assert "--scope global" in encoder.command
    card = " ".join((folder / "README.md").read_text().split())
    assert f"Layers have different widths, {kept[1]} to {kept[0]} neurons" in card
    assert "import hf_midropout" in card and "pass `trust_remote_code=True`" in card


@pytest.mark.slow  # by default of even widths, in test_prune.py
def test_the_next_commands_work_on_it(uneven, data_folder, tmp_path, capsys):
    folder = shutil.copytree(uneven[0], tmp_path / "uneven")
    assert main(["report", str(folder)]) == 0
    assert "Layers have different widths" in " ".join((folder / "midropout_report.html").read_text().split())
    assert main(["evaluate", str(folder), "--dataset", str(data_folder)]) == 0
    assert f"{Report.load(folder).test.accuracy:.4f}" in capsys.readouterr().out
    assert main(["predict", str(folder), "--text", "ball goal"]) == 0
    assert capsys.readouterr().out.split("\t")[0] in ("money", "sport")


@pytest.mark.slow  # tracing takes seconds; other models are exported in export/test_export.py
def test_as_onnx(uneven, tmp_path, capsys):
    pytest.importorskip("onnxruntime")
    folder = shutil.copytree(uneven[0], tmp_path / "uneven")
    assert main(["export", str(folder), "--onnx", "--no_compare"]) == 0
    assert "logits equal PyTorch's" in capsys.readouterr().out and (folder / "onnx" / "model.onnx").is_file()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "bert",
            ["--scope", "global", "--criterion", "magnitude"],
            "--criterion 'magnitude' with --scope 'global': its values do not compare over layers",
        ),
        ("bert", ["--scope", "global", "--speedup", "2"], "--scope global with --speedup 2: the width"),
        ("albert", ["--scope", "global"], "all layers of this ALBERT share one width"),
        ("uneven", [], "have different widths already"),
        ("uneven", ["--scope", "global", "--keep_layers", "1"], "none of them can be dropped"),
    ],
)
def test_what_cannot_be_is_told(classifiers, uneven, data_folder, tmp_path, capsys, name, options, message):
    checkpoint = uneven[0] if name == "uneven" else classifiers / name
    given = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small"), *options]
    assert main(["prune", str(checkpoint), *given]) == 1
    assert message in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_neither_a_head_nor_a_stock_checkpoint_is_made_of_it(uneven, data_folder, tmp_path, capsys):
    assert main(["export", str(uneven[0]), "--stock", str(tmp_path / "stock")]) == 1
    assert "layers of different widths" in capsys.readouterr().err
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "out")]
    assert main(["train", "--model", str(uneven[0]), *options]) == 1
    assert "its layers have different widths" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow  # a second pruning; the first is held above, and that it is allowed in models/test_uneven_widths.py
def test_pruned_again(uneven, data_folder, tmp_path, capsys):
    options = ["--dataset", str(data_folder), "--keep", "auto", "--margin", "0.9", "--scope", "global", "--no_latency"]
    assert main(["prune", str(uneven[0]), *options, "--output_dir", str(tmp_path / "again")]) == 0
    assert "on average" in capsys.readouterr().out
    encoder = Report.load(tmp_path / "again").encoder
    assert encoder.neurons == 64 and encoder.kept < 64 and encoder.neurons_at_first == 128
