"""What `hf-midropout prune` leaves, through a Hub: it arrives whole, and stock transformers loads it."""

import json

import pytest
import torch
from checkpoints import contents, save_pruned
from hub_server import HubServer
from processes import run_client
from transformers import AutoModelForSequenceClassification

from hf_midropout.groups import cut_groups, find_groups
from hf_midropout.model_types import UNEVEN_CODE, auto_map
from hf_midropout.pruning.encoder.one_shot import set_width
from hf_midropout.reporting.model_card import write_card


def test_pushed_and_pulled_with_nothing_of_ours(tmp_path, run_stock):
    folder = save_pruned(tmp_path / "small")
    there = contents(folder)
    with HubServer(tmp_path / "cas") as hub:
        environment = hub.environment(tmp_path / "home")
        done = run_client(tmp_path, environment, "push", folder, "me/small")
        assert done.returncode == 0, done.stderr
        files = hub.files("me/small")
        assert set(files) - {".gitattributes"} == set(there)
        assert {"midropout_report.json", "midropout_report.safetensors", "figures/neurons_kept.png"} <= set(files)
        assert all(files[name] == content for name, content in there.items() if name != "README.md")
        card = files["README.md"].decode()
        assert 'model="me/small"' in card and "Test accuracy 80.0% with 50% of the feed-forward neurons" in card
        code = (
            "from transformers import pipeline\n"
            "classify = pipeline('text-classification', model='me/small')\n"
            "name, width = type(classify.model).__name__, classify.model.config.intermediate_size\n"
            "print(name, width, classify('a socket')[0]['label'])"
        )
        name, width, label = run_stock(code, **environment)[-1].split()
        assert (name, width) == ("BertForSequenceClassification", "32") and label in "abc"
        predicted = run_client(tmp_path, environment, "predict", "me/small", "--text", "a socket")
        assert predicted.returncode == 0, predicted.stderr
        assert predicted.stdout.startswith(f"{label}\t") and predicted.stdout.endswith("\ta socket\n")


@pytest.mark.slow  # by default without a Hub, in models/test_uneven_widths.py
def test_layers_of_different_widths(tmp_path, run_stock):
    folder = save_pruned(tmp_path / "small")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    groups = find_groups(model, "encoder")
    masks = {name: torch.arange(32) < width for name, width in zip(groups, (24, 8), strict=True)}
    cut_groups(model, groups, masks)
    set_width(model, groups)
    model.save_pretrained(folder)
    write_card(folder, name="small")
    (folder / UNEVEN_CODE[1]).write_text("import os  # edited by someone\n")
    with HubServer(tmp_path / "cas") as hub:
        environment = hub.environment(tmp_path / "home")
        done = run_client(tmp_path, environment, "push", folder, "me/small")
        assert done.returncode == 0, done.stderr
        files = hub.files("me/small")
        assert set(UNEVEN_CODE) <= files.keys() and b"edited by someone" not in files[UNEVEN_CODE[1]]
        config = json.loads(files["config.json"])
        assert config["auto_map"] == auto_map("bert", uneven=True)
        assert config["per_layer_config"] == {"0": {"intermediate_size": 24}}
        card = files["README.md"].decode()
        assert "import hf_midropout" in card and "trust_remote_code=True" in card
        predicted = run_client(tmp_path, environment, "predict", "me/small", "--text", "a socket")
        assert predicted.returncode == 0, predicted.stderr
        code = (
            "from transformers import pipeline\n"
            "classify = pipeline('text-classification', model='me/small', trust_remote_code=True)\n"
            "print(classify('a socket')[0]['label'])"
        )
        assert run_stock(code, **environment)[-1] == predicted.stdout.split()[0]
