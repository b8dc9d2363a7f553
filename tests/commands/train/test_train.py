"""`hf-midropout train`: models that do not fit, settings of the Trainer, full disks, what a failed run leaves."""

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from checkpoints import contents
from huggingface_hub import ModelCard
from runs import train, tree
from safetensors.torch import load_file, save_file
from transformers import AlbertConfig, AlbertForMaskedLM, AlbertModel, AutoTokenizer, GPT2Config, GPT2Model

from hf_midropout.cli import main
from hf_midropout.commands.train.summary import print_baselines
from hf_midropout.commands.train.tokenizer_checks import check_texts
from hf_midropout.commands.train.trainer_arguments import given_options
from hf_midropout.models.builtin import train_tokenizer
from hf_midropout.pruning.record.schema import Baselines, Metrics
from hf_midropout.training.run_record import RunRecord


pytestmark = pytest.mark.usefixtures("blank_figures")


@pytest.fixture(scope="module")
def models(data_folder, tmp_path_factory):
    """(folder of models, their tokenizer): stock ALBERT, with all that is needed to go wrong."""
    folder = tmp_path_factory.mktemp("models")
    texts = (data_folder / "train.csv").read_text().splitlines()
    tokenizer = train_tokenizer(texts * 3, vocab_size=60)

    def save(name, kind=AlbertModel, tokenizer=tokenizer, config=AlbertConfig, **options):
        values = {
            "vocab_size": len(tokenizer or texts), "embedding_size": 8, "hidden_size": 16, "num_hidden_layers": 1,
            "num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 32,
        }  # fmt: skip
        kind(config(**{**values, **options})).save_pretrained(folder / name)
        if tokenizer is not None:
            tokenizer.save_pretrained(folder / name)
        return folder / name

    save("base")
    save("masked", AlbertForMaskedLM)
    save("no_tokenizer", tokenizer=None)
    save("many_tokens", vocab_size=len(tokenizer) - 3)
    save("few_tokens", vocab_size=3000)
    save("other_language", tokenizer=train_tokenizer(["日本語の文です 漢字とかな"] * 30, vocab_size=60))
    save("gpt2", GPT2Model, config=GPT2Config, n_layer=1, n_head=2, n_embd=16)
    pickled = save("pickle")
    torch.save({}, pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    cut = save("cut") / "model.safetensors"
    cut.write_bytes(cut.read_bytes()[:5000])
    (save("broken_tokenizer") / "tokenizer.json").write_text("{")
    lacking = save("lacking") / "model.safetensors"
    weights = load_file(lacking)
    weights.pop("embeddings.word_embeddings.weight")
    save_file(weights, lacking, metadata={"format": "pt"})
    (folder / "empty").mkdir()
    return folder


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_tokenizer", "it has no tokenizer"),
        ("many_tokens", "embeddings"),
        ("few_tokens", "5 of them special, but the model has 3,000 embeddings"),
        ("other_language", "of the characters of 72 training texts are unknown to its tokenizer"),
        ("gpt2", "its model_type is 'gpt2'; must be one of albert, bert, "),
        ("pickle", "there is only pytorch_model.bin, which can run code when loaded"),
        ("cut", "model.safetensors"),
        ("broken_tokenizer", "broken_tokenizer cannot be loaded: "),
        ("lacking", "lack 1 of the encoder's, such as albert.embeddings.word_embeddings.weight"),
        ("empty", "must be a folder with a checkpoint"),
    ],
)
def test_models_that_do_not_fit(models, data_folder, tmp_path, name, message, capsys):
    assert train(data_folder, tmp_path / "out", "--model", str(models / name)) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"hf-midropout train: error: --model {models / name}: ") and message in error
    assert list(tmp_path.iterdir()) == []


def test_long_texts_are_compared_with_a_tokenizer_by_their_beginnings(models, monkeypatch, caplog):
    tokenizer = AutoTokenizer.from_pretrained(models / "base")
    read, encode = [], type(tokenizer)._encode_plus

    def recorded(self, text, *args, **options):
        read.extend(map(len, text))
        return encode(self, text, *args, **options)

    monkeypatch.setattr(type(tokenizer), "_encode_plus", recorded)
    check_texts("x", tokenizer, ["ball goal team match " * 10_000] * 3)
    assert read == [2_000] * 3 and caplog.text == ""


@pytest.mark.parametrize("name", [pytest.param("base", marks=pytest.mark.slow), "masked"])
def test_stock_models_train(models, data_folder, tmp_path, monkeypatch, name):
    monkeypatch.chdir(models.parent)
    named = f"{models.name}/{name}"  # as ids on the Hub are written
    assert train(data_folder, tmp_path / "out", "--model", named) == 0
    report = json.loads((tmp_path / "out" / "compact" / "midropout_report.json").read_text())
    assert report["model"]["base_model"] == named
    assert report["model"]["base_model_source"] == report["data"]["source"] == "local"
    card = ModelCard.load(tmp_path / "out" / "compact" / "README.md")
    assert card.data.base_model is card.data.datasets is None and named not in card.content
    if name == "masked":
        return
    # the output folder of a run is a model too
    options = ["--model", str(tmp_path / "out"), "--head_widths", "8", "4"]
    assert train(data_folder, tmp_path / "next", *options) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--report_to", "nowhere"], "--report_to nowhere: must be among"),
        (["--logging_steps", "abc"], "--logging_steps: invalid float value: 'abc'"),
        (["--optim", "luck"], "--optim: invalid choice"),
        (["--save_strategy", "no", "--load_best_model_at_end"], "--load_best_model_at_end requires"),
        (["--use_cpu", "--fp16"], "--fp16 needs a GPU"),
        (["--head_widths", "1000000", "1000000"], "GiB, and this machine has"),
        (["--head_activation", "luck"], "--head_activation luck: must be one of gelu"),
        (["--text_column", "nothing"], "--text_column 'nothing'"),
    ],
)
def test_settings_are_told_before_training(data_folder, tmp_path, options, message, capsys):
    assert train(data_folder, tmp_path / "out", *options) == (2 if options[0] in ("--logging_steps", "--optim") else 1)
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_logger_that_is_not_installed(data_folder, tmp_path, monkeypatch, capsys):
    from transformers.integrations import integration_utils

    monkeypatch.setattr(integration_utils, "is_wandb_available", lambda: False)
    assert train(data_folder, tmp_path / "out", "--report_to", "wandb") == 1
    assert "--report_to wandb: its package is not installed" in capsys.readouterr().err


def test_values_of_the_trainer_have_the_types_of_its_fields():
    given = ["--logging_steps", "5", "--save_steps=0.5", "--use_cpu", "--label_names", "a", "b"]
    given += ["--save_total_limit", "none", "--lr_scheduler_kwargs", '{"num_cycles": 2}', "--run_name=3"]
    values = given_options(given)
    assert len(values) == 7  # nothing that was not given
    assert values["logging_steps"] == 5.0 and values["save_steps"] == 0.5 and values["use_cpu"] is True
    assert values["label_names"] == ["a", "b"] and values["save_total_limit"] is None and values["run_name"] == "3"
    assert json.loads(values["lr_scheduler_kwargs"]) == {"num_cycles": 2}


@pytest.fixture(scope="module")
def earlier(data_folder, tmp_path_factory):
    """The output folder of a run."""
    out = tmp_path_factory.mktemp("earlier") / "out"
    assert train(data_folder, out) == 0
    return out


@pytest.fixture
def out(earlier, tmp_path):
    """A copy of it, with a file of the user's."""
    shutil.copytree(earlier, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    return tmp_path / "out"


@pytest.mark.parametrize(
    "options",
    [
        ["--dataset", "nosuch/dataset"],
        ["--model", "{out}/compact"],
        ["--text_column", "nothing"],
        ["--threshold", "1.5"],
        ["--start", "99"],  # found when training begins
    ],
)
def test_a_run_that_is_refused_deletes_nothing(out, data_folder, options, capsys):
    before = tree(out)
    options = [option.format(out=out) for option in options]
    assert train(data_folder, out, "--overwrite_output_dir", *options) == 1
    assert tree(out) == before, capsys.readouterr().err


def test_the_current_directory_is_never_written_to(data_folder, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "thesis.tex").touch()
    for output_dir in (".", "", ".."):
        assert train(data_folder, output_dir, "--overwrite_output_dir") == 1
        assert "name a folder for this run, such as --output_dir out" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_an_earlier_run_is_replaced(out, data_folder):
    former = contents(out / "compact")
    assert train(data_folder, out, "--overwrite_output_dir", "--seed", "1") == 0
    assert contents(out / "compact")["model.safetensors"] != former["model.safetensors"]
    assert sorted(path.name for path in out.iterdir()) == [
        "_midropout_run.json", "_midropout_run.lock", "checkpoint-5", "compact", "midropout_record.json",
        "midropout_record.safetensors", "notes.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("last", [5, 10])
def test_a_full_disk(data_folder, tmp_path, last, monkeypatch, capsys):
    """At the first checkpoint nothing is kept, at the second the first."""
    save = torch.save

    def full(content, path, *args, **options):
        if f"checkpoint-{last}" in str(path):
            Path(path).write_bytes(b"PK")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(content, path, *args, **options)

    monkeypatch.setattr(torch, "save", full)
    assert train(data_folder, tmp_path / "out", "--num_train_epochs", "2") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "No space left on the device of" in error
    if last == 5:
        assert error.endswith("Nothing of this run is kept.") and list(tmp_path.iterdir()) == []
    else:
        assert error.endswith("Go on from checkpoint-5 with --resume.")
        monkeypatch.undo()
        assert train(data_folder, tmp_path / "out", "--num_train_epochs", "2", "--resume") == 0
        assert RunRecord.load(tmp_path / "out").finished


@pytest.mark.parametrize("text", ["[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0", "os error 28"])
def test_a_full_disk_as_torch_and_safetensors_tell_it(data_folder, tmp_path, monkeypatch, text, capsys):
    def full(*args, **options):
        raise RuntimeError(text)

    monkeypatch.setattr("transformers.Trainer._save_optimizer_and_scheduler", full)
    assert train(data_folder, tmp_path / "out") == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert ("No space left" in error or "could not be written" in error) and "Nothing of this run is kept" in error


def test_many_classes_are_not_all_named(data_folder, tmp_path, capsys):
    lines = "".join(f"text number {row},class{row % 40}\n" for row in range(200))
    (tmp_path / "train.csv").write_text("text,label\n" + lines)
    options = ["--dataset", str(tmp_path / "train.csv"), "--output_dir", str(tmp_path / "out"), "--start", "999"]
    options += ["--validation_fraction", "0.3"]
    assert main(["train", *options]) == 1
    printed = capsys.readouterr().out
    assert "40 classes (" in printed and "and 32 more)" in printed


@pytest.mark.parametrize(
    ("std", "shown"), [(0.0016, "0.6436 ± 0.0016  1.0022"), (0.0, "± 0.0000"), (0.00001, "0.6436 ± 1e-05  1.0022")]
)
def test_the_spread_stands_beside_what_it_is_of(capsys, std, shown):
    chosen = Metrics(accuracy=0.6511, macro_f1=0.6, loss=0.985)
    random = Metrics(accuracy=0.6436, macro_f1=0.6, loss=1.0022, accuracy_std=std)
    print_baselines(Baselines({"mutual_information": chosen, "random": random}, rows=900), "mutual_information")
    lines = capsys.readouterr().out.splitlines()
    assert shown in lines[-1]
    assert len(lines[-1]) == len(lines[-2]) == len(lines[-3]) and lines[-2].endswith("0.9850")
