"""`hf-midropout train` from checkpoints of other architectures than ALBERT, and what the next commands make of it."""

import json

import pytest
import torch
from conftest import drop
from encoders import tiny_head_classifier
from runs import train
from safetensors.torch import load_file, save_file
from tokenizers_made import byte_level, wordpiece
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertModel,
    RobertaConfig,
    RobertaForMaskedLM,
    pipeline,
)

from hf_midropout import MIDropoutBertForSequenceClassification
from hf_midropout.checkpoints.checks import check_checkpoint
from hf_midropout.export.onnx import export_onnx, positions
from hf_midropout.export.stock import NotExpressible, to_stock
from hf_midropout.hub.contents import published_contents
from hf_midropout.model_types import auto_map, code_files
from hf_midropout.pruning.record.training import PruningRecord
from hf_midropout.reporting.alt_texts import architecture
from hf_midropout.reporting.card_facts import head_facts
from hf_midropout.reporting.parts import encoder_of
from hf_midropout.reporting.report import Report


pytestmark = pytest.mark.usefixtures("blank_figures")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
DISTILBERT = {"dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 64}
MADE = {
    "bert": (wordpiece, BertConfig, BertForMaskedLM, SIZES),
    "distilbert": (wordpiece, DistilBertConfig, DistilBertModel, DISTILBERT),
    "roberta": (byte_level, RobertaConfig, RobertaForMaskedLM, SIZES),
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A folder of pretrained checkpoints, tiny and with random weights, by architecture."""
    folder = tmp_path_factory.mktemp("bases")
    for kind, (make_tokenizer, config, model, sizes) in MADE.items():
        tokenizer = make_tokenizer()
        torch.manual_seed(0)
        ids = {name: getattr(tokenizer, name) for name in ("pad_token_id", "bos_token_id", "eos_token_id")}
        model(config(vocab_size=len(tokenizer), max_position_embeddings=18, **sizes, **ids)).save_pretrained(
            folder / kind
        )
        tokenizer.save_pretrained(folder / kind)
    return folder


@pytest.fixture(scope="module")
def trained(bases, data_folder, tmp_path_factory):
    """The output of a run from BERT that dropped neurons of encoder and head."""
    output = tmp_path_factory.mktemp("trained") / "out"
    assert train(data_folder, output, "--model", str(bases / "bert"), "--targets", "all", "--keep", "0.5") == 0
    return output


def test_what_a_run_from_bert_leaves(trained, bases):
    folder = trained / "compact"
    config = json.loads((folder / "config.json").read_text())
    assert (config["model_type"], config["head_widths"]) == ("midropout_bert", [8, 4])
    assert config["intermediate_size"] == 32 and config["auto_map"] == auto_map("bert")
    assert {path.name for path in folder.glob("*.py")} == set(code_files("bert"))
    check_checkpoint(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert type(model) is MIDropoutBertForSequenceClassification
    assert pipeline("text-classification", model=str(folder))("ball goal team")[0]["label"] in ("sport", "money")
    report = json.loads((folder / "midropout_report.json").read_text())["model"]
    count = sum(parameter.numel() for parameter in model.parameters())
    # two layers lost 32 neurons of 32 + 1 + 32 weights each
    encoder = 2 * 32 * (32 + 1 + 32)
    head = report["head_parameters_before"] - report["head_parameters_after"]
    assert report["parameters_after"] == count == report["parameters_before"] - encoder - head
    assert report["base_model"] == str(bases / "bert")


def test_what_is_told_names_the_architecture(trained):
    folder = trained / "compact"
    config = json.loads((folder / "config.json").read_text())
    report = Report.load(folder)
    assert "the BERT encoder (2 layers of 32 units), encoder.layer.0.ffn with 32 of 64 neurons kept" in architecture(
        PruningRecord.load(trained), config
    )
    assert head_facts(report, config)["encoder"] == "BERT" and "ALBERT" not in (folder / "README.md").read_text()
    distilbert = {"model_type": "midropout_distilbert", "n_layers": 3, "dim": 8}
    assert encoder_of(distilbert) == ("DistilBERT", 3, 8) and encoder_of({}) == ("text", None, None)


def test_what_is_published_is_the_code_of_this_version(trained, tmp_path):
    contents = published_contents(trained / "compact")
    assert set(code_files("bert")) <= contents.keys()
    assert not [name for name in contents if name.endswith(".py") and name not in code_files("bert")]
    assert {"tokenizer.json", "model.safetensors", "midropout_report.json"} <= contents.keys()


@pytest.mark.slow  # BERT, by default, is above
@pytest.mark.parametrize("kind", ["distilbert", "roberta"])
def test_other_architectures_train(bases, data_folder, tmp_path, kind):
    assert train(data_folder, tmp_path / "out", "--model", str(bases / kind)) == 0
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out" / "compact")
    assert model.config.model_type == f"midropout_{kind}" and model.config.head_widths == [8, 4]
    assert "LABEL_0" not in model.config.label2id
    record = json.loads((tmp_path / "out" / "compact" / "midropout_report.json").read_text())
    assert record["model"]["largest_logit_difference"] <= 1e-5


@pytest.mark.parametrize(
    ("kind", "length", "message"),
    [("roberta", 17, "takes at most 16 tokens"), ("bert", 19, "takes at most 18 tokens")],
)
def test_texts_longer_than_the_positions(bases, data_folder, tmp_path, capsys, kind, length, message):
    options = ["--model", str(bases / kind), "--max_length", str(length)]
    assert train(data_folder, tmp_path / "out", *options) == 1
    assert message in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [("bert.embeddings.word_embeddings.weight", "lack bert.embeddings.word_embeddings.weight"),
     ("bert.encoder.layer.0.output.dense.weight", "lack bert.encoder.layer.0.output.dense.weight"),
     ("bert.pooler.dense.weight", "lack bert.pooler.dense.weight"),
     ("classifier.layers.1.dense.weight", "lack classifier.layers.1.dense.weight")],
)  # fmt: skip
def test_weights_that_are_not_those_of_the_config(tmp_path, name, message):
    tiny_head_classifier("bert").save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights.pop(name)
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"The weights {message}, which config.json asks for"):
        check_checkpoint(tmp_path)


def test_a_linear_head_on_bert_is_stock_and_one_on_roberta_is_not():
    model = tiny_head_classifier("bert")
    drop(model, layer0=[1])
    with pytest.raises(NotExpressible, match="Stock BERT has one linear layer"):
        to_stock(model)
    for layer in model.classifier.layers:
        layer.activation = torch.nn.Identity()
    model.config.head_activation = "linear"
    stock, difference = to_stock(model)
    assert type(stock).__name__ == "BertForSequenceClassification" and difference <= 1e-4
    assert type(stock.config).__name__ == "BertConfig" and not hasattr(stock.config, "head_widths")
    with pytest.raises(NotExpressible, match="Stock RoBERTa has other layers.*only ALBERT and BERT"):
        to_stock(tiny_head_classifier("roberta"))


@pytest.mark.slow
def test_onnx_of_a_model_with_fewer_positions_than_its_config_says(tmp_path):
    model = tiny_head_classifier("roberta")
    assert positions(model) == 38 < model.config.max_position_embeddings
    assert export_onnx(model, tmp_path) <= 1e-4
