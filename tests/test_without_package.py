"""What needs a fresh interpreter: imports, and checkpoints read where the package is not installed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_modeling_midropout_albert import drop


pytestmark = pytest.mark.slow  # each test starts an interpreter that imports torch anew

ROOT = Path(__file__).parent.parent


def run_python(code: str, *arguments: str, cwd) -> dict:
    """Runs `code` in a new interpreter; the last line it prints is JSON."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_import_is_light_and_registers_the_auto_classes():
    code = """
import json, sys
import hf_midropout
light = "torch" not in sys.modules and "transformers" not in sys.modules
from transformers import AutoConfig, AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_config(AutoConfig.for_model(
    "midropout_albert", vocab_size=9, embedding_size=4, hidden_size=4, num_hidden_layers=1, num_attention_heads=1,
    intermediate_size=4, head_widths=[2]))
print(json.dumps([light, type(model).__module__, sorted(set(hf_midropout.__all__) - set(dir(hf_midropout)))]))
"""
    light, module, missing = run_python(code, cwd=ROOT)
    assert light
    assert module == "hf_midropout.modeling_midropout_albert"
    assert missing == []


def test_checkpoint_loads_with_trust_remote_code_and_no_package(tiny_model, tokens, tmp_path):
    """Invariant 5, the other half."""
    drop(tiny_model, layer0=[2, 3], layer1=[0])
    compact = tiny_model.compact()
    compact.save_pretrained(tmp_path / "compact")
    code = """
import importlib.abc, json, os, sys
class Absent(importlib.abc.MetaPathFinder):  # as if the package had never been installed
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "hf_midropout":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
folder, modules = sys.argv[1:]
os.environ["HF_MODULES_CACHE"] = modules
import torch
from transformers import AutoModelForSequenceClassification
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
with torch.no_grad():
    logits = model(torch.arange(5, 15)[None]).logits
print(json.dumps([type(model).__module__, model.config.head_widths, logits.tolist()]))
"""
    module, widths, logits = run_python(code, str(tmp_path / "compact"), str(tmp_path / "modules"), cwd=tmp_path)
    assert module.startswith("transformers_modules.")
    assert widths == [10, 7, 6]
    with torch.no_grad():
        assert torch.equal(torch.tensor(logits), compact(torch.arange(5, 15)[None]).logits)
