"""The README is short, its code runs and prints what it says, and its figures are those of the result files."""

import re
import shlex

import pytest
from datasets import Dataset
from pages import FEW_STEPS, PAGES, README, ROOT, blocks, run, small_task
from transformers import BertConfig, BertForSequenceClassification


TEXT = README.read_text(encoding="utf-8")


def test_it_has_at_most_900_words():
    assert len(TEXT.split()) <= 900


def save_classifier_and_rows(folder):
    """What the code takes from there: a stock BERT, and texts with the numbers of their classes."""
    model, tokenizer, data = small_task()
    BertForSequenceClassification(
        BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=256, num_labels=model.config.num_labels,
        )
    ).save_pretrained(folder / "classifier")  # fmt: skip
    tokenizer.save_pretrained(folder / "classifier")
    for split in ("train", "test"):
        texts = [tokenizer.decode(row["input_ids"], skip_special_tokens=True) for row in data[split]]
        Dataset.from_dict({"text": texts, "label": data[split]["labels"][:]}).to_csv(
            folder / "folder" / f"{split}.csv"
        )


def test_ten_lines_run_and_print_what_they_say(tmp_path, monkeypatch, capsys):
    *_, code = blocks(README, "python")
    assert len([line for line in code.splitlines() if line.strip()]) == 10
    monkeypatch.chdir(tmp_path)
    save_classifier_and_rows(tmp_path / "path" / "to")
    names = run(README, {"num_train_epochs=4": FEW_STEPS}, monkeypatch, capsys)
    (shown,) = blocks(README, "text")
    # The same table, of a training that was longer.
    head, *rows, last = shown.splitlines()
    printed = names["printed"]
    assert head in printed and len(rows) == 3
    for row in rows:
        assert any(line.split()[:2] == row.split()[:2] for line in printed), row
    assert last.partition("; ")[2].startswith("the label has")
    kept = [layer.kept for layer in names["callback"].record.layers()]
    assert f"{kept[0]}, {kept[1]}\nand {kept[2]} were kept" in TEXT
    assert (tmp_path / "small" / "model.safetensors").exists()


def test_getting_started_has_the_same_lines():
    *_, code = blocks(README, "python")
    assert blocks(ROOT / "docs" / "getting-started.md", "python")[0] == code.partition("print(")[0]


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_tables_are_those_of_the_results(page, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from make_tables import filled

    text = page.read_text(encoding="utf-8")
    assert filled(text) == text, "run scripts/make_tables.py"


def test_figures_in_the_text_are_those_of_the_results(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "scripts")
    from make_tables import results

    latency = results("encoder_latency")["models"]["own"]
    faster = [latency["batches"]["32"][engine]["0.25"]["times_faster"] for engine in ("pytorch", "onnxruntime")]
    sizes = [round(latency["onnx_bytes"][width] / 1e6) for width in ("0.25", "dense")]
    head, one_shot = results("ag_news")["summary"], results("criteria")["accuracy"]
    trained = [100 * head[name]["accuracy"]["mean"] for name in ("mutual_information", "random", "dense")]
    tenth = {
        name: 100 * one_shot[f"{name}/0.1/least_squares"]["mean"]
        for name in ("joint_information", "activation", "mutual_information", "random")
    }
    unfitted = [100 * each["mean"] for name, each in one_shot.items() if name.endswith("/0.1/none")]
    speed = results("mutual_information_speed")["results"]["10,000 x 768, 4 classes"]
    error = results("mutual_information_accuracy")["summary"]["10000"]["in memory"]["mean_rmse_over_scikit_learn"]
    text = " ".join(TEXT.split())
    for sentence in (
        f"{faster[0]:.1f} times faster in PyTorch and {faster[1]:.1f} times in ONNX Runtime",
        f"{sizes[0]} MB instead of {sizes[1]}",
        f"{trained[0]:.2f}% with those of most mutual information, {trained[1]:.2f}% with random ones, "
        f"{trained[2]:.2f}% with all",
        f"keeps {tenth['joint_information']:.1f}% by joint information, {tenth['activation']:.1f}% by std × norm, "
        f"{tenth['mutual_information']:.1f}% by mutual information alone, and {tenth['random']:.1f}% at random",
        f"(dense {100 * one_shot['dense']['mean']:.1f}%); without the refit {min(unfitted):.0f} to "
        f"{max(unfitted):.0f}%",
        f"{speed['scikit_learn_over_in_memory']:.0f} times faster than scikit-learn's at 10,000 × 768, with "
        f"{error:.2f} times its error",
    ):
        assert sentence in text


def test_links_lead_somewhere():
    links = re.findall(r"\]\(\s*([^)#\s]+)[^)]*\)", TEXT)
    assert len(links) > 10
    for link in links:
        assert (ROOT / link).exists(), link


def test_commands_have_their_options(monkeypatch):
    """Those of the README and of all pages."""
    import importlib

    from hf_midropout.cli import COMMANDS

    parsers = {}
    lines = [line for page in (README, *PAGES) for block in blocks(page, "bash") for line in block.splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("hf-midropout ")]
    assert len(commands) > 15
    for command, *words in commands:
        assert command in COMMANDS
        if command not in parsers:
            parser = importlib.import_module(f"hf_midropout.commands.{command}").make_parser()
            parsers[command] = {option for action in parser._actions for option in action.option_strings}
        assert [word for word in words if word.startswith("--") and word not in parsers[command]] == []


def test_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    text = "".join(page.read_text(encoding="utf-8") for page in (README, ROOT / "CONTRIBUTING.md", *PAGES))
    targets = {"".join(found) for found in re.findall(r"^make ([\w-]+)|`make ([\w-]+)`", text, re.M)}
    assert {"demo", "docs", "test"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target
