"""Checkpoints and data that `hf-midropout prune` cannot prune: one line that says why, and nothing is written."""

import json
import shutil

import pytest
import torch
from classifiers import NAMES, SIZES
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2ForSequenceClassification

from hf_midropout.cli import main
from hf_midropout.models.builtin import train_tokenizer


def bert(vocab_size: int):
    torch.manual_seed(0)
    config = {**SIZES, "num_hidden_layers": 2, "intermediate_size": 32, "vocab_size": vocab_size, **NAMES}
    return BertForSequenceClassification(BertConfig(**config))


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, data_folder):
    """What is wrong with each is in its name."""
    folder = tmp_path_factory.mktemp("checkpoints")
    tokenizer = train_tokenizer(Dataset.from_csv(str(data_folder / "train.csv"))["text"][:], vocab_size=60)
    size = len(tokenizer)
    tokens = {"vocab_size": size, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    models = {"fine": bert(size), "nan": bert(size), "too_large": bert(size)}
    models["gpt2"] = GPT2ForSequenceClassification(GPT2Config(n_embd=16, n_layer=1, n_head=2, **tokens, **NAMES))
    with torch.no_grad():
        models["nan"].bert.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
        models["too_large"].bert.encoder.layer[1].intermediate.dense.weight.fill_(3e38)
    for name, model in models.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    for name, method in (("gptq", {"bits": 4}), ("bitsandbytes", {"load_in_4bit": True})):
        shutil.copytree(folder / "fine", folder / name)
        config = json.loads((folder / name / "config.json").read_text())
        config["quantization_config"] = {"quant_method": name, **method}
        (folder / name / "config.json").write_text(json.dumps(config))
    shutil.copytree(folder / "fine", folder / "adapter_beside")
    (folder / "adapter").mkdir()
    for name in ("adapter", "adapter_beside"):
        (folder / name / "adapter_config.json").write_text('{"base_model_name_or_path": "me/other"}')
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gpt2", "model_type='gpt2' has no row in hf_midropout/groups/architectures.py, which lists albert, bert"),
        ("nan", "bert.encoder.layer.1.output.dense.weight holds 1 NaN or infinite values"),
        ("too_large", "encoder.layer.1.ffn has NaN or infinite activations"),
        ("gptq", "it is quantised; prune the model that it was made from"),
        ("bitsandbytes", "it is quantised; prune the model that it was made from"),
        ("adapter", "merge it into that one first, with peft's model.merge_and_unload().save_pretrained(folder)"),
        ("adapter_beside", "merge it into that one first"),
    ],
)
def test_checkpoints(checkpoints, data_folder, tmp_path, capsys, name, message):
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "small"), "--no_compare", "--no_latency"]
    assert main(["prune", str(checkpoints / name), *options]) == 1
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_one_class(checkpoints, tmp_path, capsys):
    rows = Dataset.from_list([{"text": f"goal {number}", "label": "sport"} for number in range(120)])
    for split in ("train", "test"):
        rows.to_csv(tmp_path / "data" / f"{split}.csv")
    options = ["--dataset", str(tmp_path / "data"), "--output_dir", str(tmp_path / "small")]
    assert main(["prune", str(checkpoints / "fine"), *options]) == 1
    assert "have the label 'sport' in column 'label'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
