"""Weights in parts: FSDP2 and DeepSpeed ZeRO-2 by the package's YAML files, in two processes (gloo on the CPU)."""

import inspect
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.state import AcceleratorState
from accelerate.utils.launch import prepare_multi_gpu_env
from processes import run_ranks
from sharded_run import frozen, see
from transformers import Trainer, TrainingArguments

from hf_midropout import MIDropoutCallback
from hf_midropout.groups.sharding import check_deepspeed, check_fsdp
from hf_midropout.training.launcher import config_file


TESTS = Path(__file__).parents[1]
FSDP = torch.__version__ >= "2.8"
NO_FSDP = pytest.mark.skipif(not FSDP, reason="needs gloo's reduce-scatter")
SHARDED = [
    # By default test_distributed.py holds for processes what these hold for weights in parts.
    pytest.param("fsdp2", marks=[NO_FSDP, pytest.mark.slow]),
    pytest.param("zero2", marks=pytest.mark.skipif(not find_spec("deepspeed"), reason="needs deepspeed")),
]
KINDS = [pytest.param("plain", marks=pytest.mark.slow), *SHARDED]


def options(kind: str) -> list[str]:
    """Of `accelerate launch`."""
    return ["--config_file", str(config_file("cpu_2" if kind == "plain" else kind)), "--num_processes", "2",
            "--mixed_precision", "no", "--main_process_port", "0"]  # fmt: skip


def launch(kinds: list[str], folder: Path) -> None:
    """The processes as `accelerate launch` starts them."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    environment |= {"DS_ACCELERATOR": "cpu", "ACCELERATE_USE_CPU": str(kinds != ["zero2"]).lower()}
    command = [sys.executable, "-m", "accelerate.commands.launch", *options(kinds[-1]), str(TESTS / "sharded_run.py")]
    done = subprocess.run([*command, folder, *kinds], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


def fork(kinds: list[str], folder: Path) -> None:
    """The same processes in the same environment, without another import of torch and transformers."""
    parsed, _, _ = _validate_launch_command(
        launch_command_parser().parse_args([*options(kinds[-1]), "sharded_run.py"])
    )
    environment = prepare_multi_gpu_env(parsed)
    given = {name: value for name, value in environment.items() if os.environ.get(name) != value}
    run_ranks(2, folder, see, folder, kinds, **given)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What each of two processes saw in a kind of training; each is started once."""
    folder = tmp_path_factory.mktemp("sharded")

    def start(kind: str) -> list[dict]:
        files = [folder / f"{kind}_{rank}.pt" for rank in range(2)]
        if not files[0].exists():
            if kind == "zero2":  # its module wants to be told in which process it is imported
                launch([kind], folder)
            else:
                fork(["plain", "fsdp2"] if FSDP else ["plain"], folder)
        return [torch.load(file, weights_only=False) for file in files]

    return start


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The trainings that change no weight, in this process alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield frozen("plain", tmp_path_factory.mktemp("single"))
    torch.set_num_threads(threads)
    AcceleratorState._reset_state(reset_partial_state=True)
    os.environ.pop("ACCELERATE_USE_FSDP")


def assert_equal(state: dict, expected: dict, atol: float = 0.0) -> None:
    assert state.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(
            state[name], tensor, rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}"
        )


def check_resumed(rank: dict, case: str) -> None:
    assert_equal(rank[case]["state"], rank["prune"]["state"])
    assert rank[case]["masks"] == rank["prune"]["masks"]
    assert rank[case]["steps"] == [2, 4]


@pytest.mark.parametrize("kind", SHARDED)
def test_scores_masks_and_refits_are_those_of_one_process(run, single, kind):
    for rank in run(kind):
        for case in single:
            for what in ("scores", "masks", "steps", "refused"):
                assert rank[case][what] == single[case][what], (case, what)
            assert_equal(rank[case]["state"], single[case]["state"])
            assert rank[case]["refused"] is None and not all(map(all, rank[case]["masks"]))


@pytest.mark.parametrize("kind", SHARDED)
def test_training_goes_on_as_with_whole_weights(run, kind):
    # A refit that the optimizer's original overwrites, or that a stale copy hides, would not end in these weights.
    for rank, expected in zip(run(kind), run("plain"), strict=True):
        for case in ("prune", "reinitialize"):
            assert rank[case]["masks"] == expected[case]["masks"]
            assert_equal(rank[case]["state"], expected[case]["state"], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param("fsdp2", marks=NO_FSDP)])
def test_launched_by_accelerate_they_end_in_the_same(run, kind, tmp_path):
    """By default they are forked, with the environment of its launcher; test_launcher starts real ones."""
    launch([kind], tmp_path)
    for rank, expected in enumerate(run(kind)):
        launched = torch.load(tmp_path / f"{kind}_{rank}.pt", weights_only=False)
        for case in expected:
            assert_equal(launched[case]["state"], expected[case]["state"])
            assert launched[case]["masks"] == expected[case]["masks"]
        for step in (1, 3):
            check_resumed(launched, f"resumed from {step}")


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_are_equal(run, kind):
    first, second = run(kind)
    for case in first:
        assert_equal(second[case]["state"], first[case]["state"])
        assert second[case]["masks"] == first[case]["masks"]
        assert second[case]["validation"] == first[case]["validation"]


@pytest.mark.parametrize("kind", SHARDED)
def test_resumed_runs_end_in_the_same_weights_and_masks(run, kind):
    for rank in run(kind):
        check_resumed(rank, "resumed from 3")


@pytest.mark.parametrize("kind", KINDS)
def test_compact_saved_and_loaded(run, kind):
    for rank in run(kind):
        for case in rank.keys() & {"prune", "bf16"}:
            assert rank[case]["difference"] < 1e-5  # float32, whatever it was trained in
            assert rank[case]["compact"] and rank[case]["loaded"]


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_fsdp(1, False), "fsdp_version=1 is not supported"),
        (lambda: check_fsdp(2, True), "cpu_ram_efficient_loading=true is not supported"),
        (lambda: check_deepspeed(3), "zero_stage=3 of DeepSpeed is not supported"),
        (lambda: check_deepspeed(0), "zero_stage=0"),
        (lambda: check_deepspeed(2, fp16=True), "DeepSpeed with fp16"),
    ],
)
def test_refused(check, message):
    with pytest.raises(ValueError, match=message):
        check()


@pytest.mark.skipif(
    "is_distributed_loading_by_transformers" not in inspect.getsource(Trainer),
    reason="transformers does not distribute models while it loads them",
)
def test_refused_before_the_trainer_begins(tiny_model, train_rows, tmp_path):
    class Loaded(type(tiny_model)):
        is_distributed_loading_by_transformers = True

    tiny_model.__class__ = Loaded
    with pytest.raises(ValueError, match="parallelism_config or distributed_config is not supported"):
        Trainer(
            tiny_model, TrainingArguments(str(tmp_path), use_cpu=True, save_strategy="no"), train_dataset=train_rows,
            callbacks=[MIDropoutCallback()],
        )  # fmt: skip
