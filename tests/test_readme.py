"""The README's code runs, in order, and prints what the README says."""

import copy
import re
from pathlib import Path

import pytest
from conftest import tiny_config

from hf_midropout import MIDropoutAlbertForSequenceClassification
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.models import builtin


README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.S)


def test_python_blocks_run_and_print_what_they_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    MIDropoutAlbertForSequenceClassification(tiny_config(num_labels=4)).save_pretrained(tmp_path / "albert")
    substitutes = {
        # four steps instead of four epochs, few rows, and a checkpoint that is here instead of one on the Hub
        "num_train_epochs=4": "max_steps=4, use_cpu=True, disable_tqdm=True, save_strategy='no'",
        "keep=0.25": "keep=0.25, score_samples=200",
        '"out/encoder"': '"out/encoder", max_steps=4, use_cpu=True, disable_tqdm=True, save_strategy="no"',
        'targets="encoder", keep=0.5': 'targets="encoder", keep=0.5, score_samples=200, reconstruction_samples=100',
        'eval_dataset=data["validation"]': 'eval_dataset=data["validation"].select(range(64))',
        'score_neurons(model, data["validation"]': 'score_neurons(model, data["validation"].select(range(200))',
        "albert/albert-base-v2": str(tmp_path / "albert"),
    }
    monkeypatch.setattr(
        "hf_midropout.models.builtin.load_text_classification",
        lambda: load_text_classification(max_train_samples=600, max_eval_samples=200),
    )
    model, tokenizer, data = builtin.builtin_task()  # once for all blocks
    monkeypatch.setattr(builtin, "builtin_task", lambda: (copy.deepcopy(model), tokenizer, data))
    names: dict = {}
    whole = "\n".join(BLOCKS)
    for name in substitutes:
        assert whole.count(name) == (2 if name.startswith("eval_dataset") else 1), name
    # The second block replaces the trained model by an untrained one of another shape: it runs last.
    trained, from_the_hub, loaded, encoder, pruned, scored = BLOCKS
    for block in (trained, loaded, scored, pruned, encoder, from_the_hub):
        for name, substitute in substitutes.items():
            block = block.replace(name, substitute)
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    for line in re.findall(r"^print\(.*\n# (.*)$", whole, re.M):
        assert line in printed
    assert "classifier.layers.2" in printed
    assert names["classify"]("opens a socket and listens for connections")[0]["label"]


@pytest.mark.parametrize("option", re.findall(r"^\| `(\w+)` \|", README, re.M))
def test_options_in_the_table_exist(option):
    from hf_midropout import MIDropoutConfig

    assert option in MIDropoutConfig.__dataclass_fields__


def test_make_targets_exist():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)|`make (\w+)`", README, re.M)
    assert len(targets) >= 2
    for target in targets:
        assert re.search(rf"^{''.join(target)}:", makefile, re.M), target
