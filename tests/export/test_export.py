"""ONNX against PyTorch, and heads that stock ALBERT can express."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import tiny_config
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.cli import main
from hf_midropout.export import onnx
from hf_midropout.export.onnx import OnnxExportError, export_onnx, random_inputs
from hf_midropout.export.stock import NotExpressible, linear_equivalent, to_stock


def model_of(**config) -> MIDropoutAlbertForSequenceClassification:
    torch.manual_seed(1)
    return MIDropoutAlbertForSequenceClassification(tiny_config(**config)).eval()


def logits(model, inputs) -> torch.Tensor:
    with torch.no_grad():
        return model(**inputs).logits


@pytest.fixture(scope="module", params=["one", pytest.param("both", marks=pytest.mark.slow)])
def exported(request, checkpoint, tmp_path_factory):
    """
    A checkpoint with its ONNX model, and what the command that made it printed. An export takes seconds: of the two,
    that of the network before pruning, which is only timed, is left out by default.
    """
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = Path(shutil.copytree(checkpoint, tmp_path_factory.mktemp("exported") / "compact"))
    with contextlib.redirect_stdout(io.StringIO()) as printed, pytest.MonkeyPatch.context() as patch:
        if request.param == "one":
            contents: list[bytes] = []

            def first(model, export=onnx.to_onnx):
                contents.extend([export(model)] if not contents else [])
                return contents[0]

            patch.setattr(onnx, "to_onnx", first)
        assert main(["export", "--onnx", str(folder.parent)]) == 0
    return folder, printed.getvalue()


def test_onnx_takes_any_batch_and_length_and_is_compared(exported):
    import onnxruntime

    folder, printed = exported
    assert (
        "logits equal PyTorch's within" in " ".join(printed.split()) and "before pruning (12, 8, 6 neurons)" in printed
    )
    assert max(map(len, printed.splitlines()[4:])) <= 79  # below the paths
    rows = [line.split() for line in printed.splitlines() if line.startswith(("before pruning", "this model"))]
    parameters = [int(row[-4].replace(",", "")) for row in rows]
    megabytes = [float(row[-3]) for row in rows]
    assert parameters[0] > parameters[1] and megabytes[0] >= megabytes[1] > 0
    assert all(float(row[place]) > 0 for row in rows for place in (-2, -1))
    session = onnxruntime.InferenceSession(folder / "onnx" / "model.onnx", providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["input_ids", "attention_mask"]
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    for batch, length in ((1, 3), (4, 16), (7, 5)):  # none of these was traced
        inputs = random_inputs(model, batch, length, seed=9)
        (actual,) = session.run(None, {name: tensor.numpy() for name, tensor in inputs.items()})
        assert (torch.from_numpy(actual) - logits(model, inputs)).abs().max() < 1e-4


def test_an_onnx_model_that_differs_is_not_written(exported, tmp_path, monkeypatch):
    folder, _ = exported
    content = (folder / "onnx" / "model.onnx").read_bytes()
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    model.classifier.out_proj.bias.data += 0.1
    monkeypatch.setattr("hf_midropout.export.onnx.to_onnx", lambda model: content)
    with pytest.raises(OnnxExportError, match=r"differ by 1\.00e-01: 1e-04 is allowed"):
        export_onnx(model, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_the_model_that_is_exported_stays_as_it_is():
    model = model_of().bfloat16()
    copied = onnx.in_float32(model)
    assert {value.dtype for value in copied.parameters()} == {torch.float32}
    assert {value.dtype for value in model.parameters()} == {torch.bfloat16}
    assert onnx.in_float32(copied) is copied  # no copy where there is nothing to change


def test_a_linear_head_is_one_layer():
    model = model_of(head_activation="linear")
    model.classifier.layers[0].mask[3:7] = False
    stock, difference = to_stock(model)
    assert type(stock).__module__.startswith("transformers.") and difference < 1e-5
    inputs = random_inputs(model, 5, 9, seed=4)
    assert (logits(model, inputs) - logits(stock, inputs)).abs().max() < 1e-5
    compact, _ = to_stock(model.compact())
    assert (logits(stock, inputs) - logits(compact, inputs)).abs().max() < 1e-5


def test_relu_neurons_that_never_change_sign_are_linear():
    model = model_of()
    for layer in model.classifier.layers:
        layer.dense.bias.data += 100.0
    model.classifier.layers[1].dense.bias.data[0] = -1e5  # never on
    model.classifier.layers[2].dense.weight.data[2] = 0  # constant
    stock, _ = to_stock(model, atol=1e-2)  # 100 in float32 leaves fewer digits
    inputs = random_inputs(model, 5, 9, seed=4)
    torch.testing.assert_close(logits(model, inputs), logits(stock, inputs), rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("activation", ["relu", "gelu", "tanh"])
def test_a_head_that_bends_is_refused(activation):
    with pytest.raises(NotExpressible, match=rf"12 of 12 neurons of layer 1 bend \({activation}\)"):
        linear_equivalent(model_of(head_activation=activation))


def test_the_bound_is_that_of_a_tanh():
    """A neuron on for every value in [-1, 1] counts as linear; a hair less and it does not."""
    model = model_of(head_widths=[1])
    dense = model.classifier.layers[0].dense
    dense.bias.data[0] = dense.weight.data.double().abs().sum().float() * 1.0001
    linear_equivalent(model)
    dense.bias.data[0] *= 0.999
    with pytest.raises(NotExpressible, match="1 of 1 neurons of layer 1"):
        linear_equivalent(model)


def test_a_stock_checkpoint_needs_neither_package_nor_trust(folder, tmp_path, capsys, run_stock):
    assert main(["export", str(folder), "--stock", str(tmp_path / "stock")]) == 1
    assert "bend (relu)" in capsys.readouterr().err and not (tmp_path / "stock").exists()

    model_of(head_activation="linear", vocab_size=80).compact().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    assert main(["export", str(folder), "--stock", str(tmp_path / "stock")]) == 0
    names = {path.name for path in (tmp_path / "stock").iterdir()}
    assert not any(name.endswith(".py") for name in names) and {"README.md", "tokenizer.json"} <= names
    stock_config = json.loads((tmp_path / "stock" / "config.json").read_text())
    assert stock_config["model_type"] == "albert" and "auto_map" not in stock_config
    assert {"head_widths", "auto_map"} <= set(config)
    code = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1])
inputs = AutoTokenizer.from_pretrained(sys.argv[1])("opens a socket", return_tensors="pt")
with torch.no_grad():
    print(json.dumps([type(model).__name__, model(**inputs).logits.tolist()]))
"""
    name, answer = json.loads(run_stock(code, tmp_path / "stock")[-1])
    assert name == "AlbertForSequenceClassification"
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    inputs = AutoTokenizer.from_pretrained(folder)("opens a socket", return_tensors="pt")
    assert (torch.tensor(answer) - logits(model, inputs)).abs().max() < 1e-5
    assert "import hf_midropout" not in (tmp_path / "stock" / "README.md").read_text()
    assert main(["export", str(folder), "--stock", str(tmp_path / "stock")]) == 1
    assert "exists already" in capsys.readouterr().err


def test_nothing_to_do_is_told(folder, capsys):
    assert main(["export", str(folder)]) == 1
    assert "give --onnx, --stock FOLDER, or both" in capsys.readouterr().err
