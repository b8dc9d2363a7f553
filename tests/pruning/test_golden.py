"""Masks, bits and weights of the built-in task are what they were when `golden/head.json` was made."""

import importlib.util
import json
import platform
from pathlib import Path

import pytest
import torch


GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.skipif(
    platform.python_version() != json.loads((GOLDEN / "head.json").read_text())["python"],
    reason="the built-in texts are those of another Python version",
)
def test_head_of_the_built_in_task():
    spec = importlib.util.spec_from_file_location("make_head", GOLDEN / "make_head.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = json.loads((GOLDEN / "head.json").read_text())["default"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        found = module.golden(**module.CASES["default"])
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
