"""Invariant 5 where the package is not installed: a checkpoint brings its code along."""

import json

import torch
from conftest import drop


def test_there_is_no_package(run_stock):
    code = """
import sys
try:
    import hf_midropout
except ModuleNotFoundError:
    print("absent", sys.argv[1])
"""
    assert run_stock(code, "x") == ["absent x"]


def test_checkpoint_loads_with_trust_remote_code_and_no_package(tiny_model, tmp_path, run_stock):
    drop(tiny_model, layer0=[2, 3], layer1=[0])
    compact = tiny_model.compact()
    compact.save_pretrained(tmp_path / "compact")
    code = """
import json, sys, torch
from transformers import AutoModel, AutoModelForSequenceClassification
folder = sys.argv[1]
encoder = AutoModel.from_pretrained(folder, trust_remote_code=True)
assert type(encoder).__name__ == "MIDropoutAlbertModel"
model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True)
with torch.no_grad():
    logits = model(torch.arange(5, 15)[None]).logits
state = {name: tensor.tolist() for name, tensor in model.state_dict().items()}
print(json.dumps([type(model).__module__, model.config.head_widths, logits.tolist(), state]))
"""
    module, widths, logits, state = json.loads(run_stock(code, tmp_path / "compact")[-1])
    assert module.startswith("transformers_modules.")
    assert widths == [10, 7, 6]
    assert state == {name: tensor.tolist() for name, tensor in compact.state_dict().items()}
    with torch.no_grad():
        expected = compact(torch.arange(5, 15)[None]).logits
    # Not to the last bit: how products are summed up depends on where in memory the weights lie.
    assert torch.allclose(torch.tensor(logits), expected, rtol=0, atol=1e-7)
