"""Masks, bits and weights are what they were when `golden/head.json` was made."""

import importlib.util
import json
import platform
from pathlib import Path

import pytest
import torch


GOLDEN = Path(__file__).parents[1] / "golden"


def same(version: str, which: str):
    made_with = json.loads((GOLDEN / "head.json").read_text())[which]
    return pytest.mark.skipif(version != made_with, reason=f"it was made with {which} {made_with}")


@pytest.mark.parametrize(
    "case",
    [
        pytest.param("tiny", marks=same(torch.__version__, "torch")),
        # the built-in texts are those of a Python version
        pytest.param("default", marks=[same(platform.python_version(), "python"), pytest.mark.slow]),
    ],
)
def test_heads(case):
    spec = importlib.util.spec_from_file_location("make_head", GOLDEN / "make_head.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = json.loads((GOLDEN / "head.json").read_text())[case]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = module.golden(**module.CASES[case])
    finally:
        torch.set_num_threads(threads)
    assert found["kept"] == expected["kept"]
    # To the last bit on the machine it was made on; elsewhere sums may round in another order.
    for name, bits in expected["bits"].items():
        assert [float.fromhex(each) for each in found["bits"][name]] == pytest.approx(
            [float.fromhex(each) for each in bits], abs=1e-6
        )
    assert found["weight_sum"] == pytest.approx(expected["weight_sum"], rel=1e-5)
    for name, metrics in expected["one_shot"].items():
        assert found["one_shot"][name] == pytest.approx(metrics, abs=1e-3), name
