"""Invariant 6: a run that is killed and resumed ends in the same weights and masks, wherever it was killed."""

import json
import signal
from pathlib import Path

import pytest
import torch
from interrupted_run import train
from processes import exit_code
from safetensors.torch import load_file
from transformers.trainer_utils import get_last_checkpoint


def run(folder: Path, kill_at: str, restore: bool = False, checkpoint: str | None = None) -> int:
    code = exit_code(folder / "log", train, folder, kill_at, restore, checkpoint)
    assert code in (0, -signal.SIGKILL), (folder / "log").read_text()[-3000:]
    return code


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("whole")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    train(folder, "never")  # in this process, which hashes strings with another seed than those it starts
    torch.set_num_threads(threads)
    assert json.loads((folder / "steps.json").read_text()) == [3, 6]
    state = load_file(folder / "end")
    assert [int(state[f"classifier.layers.{layer}.mask"].sum()) for layer in range(3)] == [3, 2, 2]
    return state


# Neurons are scored after steps 3 and 6, and every step has a checkpoint.
@pytest.mark.parametrize(
    ("kill_at", "restore"),
    [
        pytest.param("2", False, marks=pytest.mark.slow),  # before scoring
        ("scoring 1", False),  # in the middle of it: the last checkpoint is of step 2
        ("3", True),  # just after the neurons were dropped
        pytest.param("5", False, marks=pytest.mark.slow),  # between rounds
        ("scoring 2", True),
        pytest.param("6", False, marks=pytest.mark.slow),
        pytest.param("8", True, marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed(whole, tmp_path, kill_at, restore):
    assert run(tmp_path, kill_at, restore) == -signal.SIGKILL
    checkpoint = get_last_checkpoint(str(tmp_path))
    expected = {"scoring 1": 2, "scoring 2": 5}.get(kill_at) or int(kill_at)
    assert checkpoint.endswith(f"checkpoint-{expected}")
    assert run(tmp_path, "never", restore, checkpoint) == 0
    state = load_file(tmp_path / "end")
    assert state.keys() == whole.keys()
    for name, tensor in whole.items():
        assert torch.equal(state[name], tensor), name
    assert json.loads((tmp_path / "steps.json").read_text()) == [3, 6]
