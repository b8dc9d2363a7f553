"""The examples run as they are: offline on built-in data, with a checkpoint of the user; the notebook runs, too."""

import json
import re
import runpy
import sys
from functools import cache

import pytest
from classifiers import save_classifiers
from pages import ROOT, small_task
from transformers import (
    AlbertConfig,
    AlbertForSequenceClassification,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

import hf_midropout
from hf_midropout import NeuronScores
from hf_midropout.data import builtin


EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "first_steps.ipynb"


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """run(name, *arguments): the lines that an example prints, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    for module in ("datasets", "for_model", "files"):  # the documentation is read once for all
        if hasattr(sys.modules.get(f"hf_midropout.data.{module}"), "load_python_docs"):
            monkeypatch.setattr(f"hf_midropout.data.{module}.load_python_docs", python_docs)

    def run(name: str, *arguments: object) -> list[str]:
        monkeypatch.setattr("sys.argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


@cache
def python_docs(seed: int = 42):
    return builtin.load_python_docs(seed)


@pytest.fixture(scope="module")
def classifiers(data_folder, tmp_path_factory):
    """A BERT that has learned the texts of `data_folder`, in `dense`, and a stock ALBERT, in `albert`."""
    folder = save_classifiers(tmp_path_factory.mktemp("classifiers"), data_folder)
    tokenizer = AutoTokenizer.from_pretrained(folder / "dense")
    config = AlbertConfig(
        vocab_size=len(tokenizer), embedding_size=8, hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=16, max_position_embeddings=64,
    )  # fmt: skip
    AlbertForSequenceClassification(config).save_pretrained(folder / "albert")
    tokenizer.save_pretrained(folder / "albert")
    return folder


@pytest.mark.slow  # as the next one, with the model that is made where none is named; CI runs it
def test_train_offline(run, tmp_path):
    printed = run("train_with_callback.py", "--max_rows", 128, "--epochs", 1)
    assert "Neurons: [256, 128, 64] -> [64, 32, 16]" in printed
    assert len([line for line in printed if re.match("  [a-z_]+ +accuracy", line)]) == 5  # criteria
    assert printed[-1].startswith("After retraining: accuracy ")
    small = AutoModelForSequenceClassification.from_pretrained(tmp_path / "midropout_output/example/compact")
    assert small.config.head_widths == [64, 32, 16]


def test_train_a_checkpoint(run, classifiers, data_folder, tmp_path):
    arguments = ("--model", classifiers / "albert", "--dataset", data_folder, "--epochs", 1, "--output_dir", "out")
    assert "Neurons: [256, 128, 64] -> [64, 32, 16]" in run("train_with_callback.py", *arguments)
    assert json.loads((tmp_path / "out/compact/config.json").read_text())["id2label"] == {"0": "money", "1": "sport"}


@pytest.mark.slow  # likewise
def test_prune_offline(run):
    printed = run("prune_classifier.py", "--max_rows", 96, "--epochs", 1)
    assert "Neurons of each layer: [512, 512] -> [128, 128]" in printed
    assert [line.split()[4] for line in printed if "as many neurons by" in line] == [
        "prediction_information", "std_times_norm", "magnitude", "random",
    ]  # fmt: skip
    assert printed[-1].endswith("loads with transformers alone: BertForSequenceClassification.")


def test_prune_a_checkpoint(run, classifiers, data_folder):
    printed = run("prune_classifier.py", "--model", classifiers / "dense", "--dataset", data_folder, "--keep", 0.5)
    assert "Neurons of each layer: [32] -> [16]" in printed
    # It has learned what the texts are about; with labels in another order it would be wrong.
    assert any(line.startswith("On 30 rows: accuracy 1.0000 ->") for line in printed)


def test_score_offline(run, tmp_path, monkeypatch):
    monkeypatch.setattr(hf_midropout, "builtin_task", small_task)
    printed = run("score_any_model.py", "--max_rows", 64, "--output", "scores.json")
    assert printed[0].split() == ["layer", "neurons", "mean", "min", "max", "bits"]
    assert any("of 256 neurons tell something" in line for line in printed)
    assert NeuronScores.load(tmp_path / "scores.json").num_samples == 64


def test_score_a_checkpoint(run, classifiers, data_folder):
    options = ("--dataset", data_folder, "--layers", "*.pooler", "*.output.dense")
    printed = run("score_any_model.py", "--model", classifiers / "dense", *options)
    layers = [line.split()[0] for line in printed if line.startswith("bert.")]
    assert {"bert.encoder.layer.0.output.dense", "bert.pooler"} <= set(layers)


def test_the_notebook_has_its_outputs_and_no_errors():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = [output["output_type"] for cell in code for output in cell["outputs"]]
    assert "error" not in kinds and "display_data" in kinds and "execute_result" in kinds
    assert NOTEBOOK.stat().st_size < 300_000


@pytest.mark.slow  # a kernel of its own, a minute; CI runs it
def test_the_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    printed = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "[256, 128, 64] -> [64, 32, 16]" in printed
