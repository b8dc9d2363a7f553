"""Checkpoints of someone who means harm are refused, with the reason, before anything of them is loaded."""

import json
import os
import pickle
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from checkpoints import client_environment, contents, save_checkpoint
from hub_server import HubServer
from safetensors.torch import load_file, save_file

from hf_midropout.checkpoint_checks import check_checkpoint, check_names, checkpoint_folder
from hf_midropout.cli import main
from hf_midropout.hub_errors import redact
from hf_midropout.safetensors_checks import check_finite, read_shapes


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return save_checkpoint(tmp_path_factory.mktemp("good") / "compact")


@pytest.fixture
def folder(good, tmp_path):
    return Path(shutil.copytree(good, tmp_path / "hostile"))


class Bomb:
    """Unpickled, it leaves a file: the proof that someone's code ran."""

    def __reduce__(self):
        return (os.system, ("touch exploded",))


def edit(folder: Path, name: str = "config.json", **values) -> None:
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_weight(folder: Path, name: str, change) -> None:
    state = load_file(folder / "model.safetensors")
    state[name] = change(state[name]).contiguous()
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def only_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


def pickle_in_disguise(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))


def nan(weight: torch.Tensor) -> torch.Tensor:
    weight.view(-1)[3] = float("nan")
    return weight


def index_leading_out(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    index = {"metadata": {}, "weight_map": {"classifier.out_proj.weight": "../outside.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def huge_report(folder: Path) -> None:
    os.truncate(folder / "midropout_report.json", 200 * 10**6)


def huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**40) + b"{}")


def deep_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)


def cut_off(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 9_000)


CODE = {"AutoConfig": "evil.EvilConfig", "AutoModelForSequenceClassification": "evil.EvilModel"}
HOSTILE = {
    "only a pickle": (only_pickle, "pytorch_model.bin, which can run code when loaded"),
    "a pickle in disguise": (pickle_in_disguise, "model.safetensors is no safetensors file"),
    "widths of another model": (lambda it: edit(it, head_widths=[6, 5, 3]), "shape [5, 6], the weights have [4, 6]"),
    "one layer too few": (lambda it: edit(it, head_widths=[6, 4]), "classifier.out_proj.weight of shape [3, 4]"),
    "a negative width": (lambda it: edit(it, head_widths=[6, -4, 3]), "head_widths=[6, -4, 3] is refused"),
    "a huge width": (lambda it: edit(it, head_widths=[6, 10**12, 3]), "must be widths of 1 to 10,000,000 neurons"),
    "a width that is no number": (lambda it: edit(it, head_widths=["6"]), "head_widths=['6'] is refused"),
    "a huge vocabulary": (lambda it: edit(it, vocab_size=10**11), "vocab_size=100000000000 is refused"),
    "a hidden size of another model": (lambda it: edit(it, hidden_size=4096), "hidden_size=4096, but no weight"),
    "a million layers": (lambda it: edit(it, num_hidden_layers=10**6), "num_hidden_layers=1000000 is refused"),
    "NaN weights": (
        lambda it: edit_weight(it, "classifier.layers.1.dense.weight", nan),
        "classifier.layers.1.dense.weight holds 1 NaN",
    ),
    "NaN in half precision": (
        lambda it: edit_weight(it, "albert.pooler.bias", lambda weight: nan(weight.bfloat16())),
        "albert.pooler.bias holds 1 NaN",
    ),
    "an index that leads out": (index_leading_out, "'../outside.safetensors' is refused"),
    "code of its own": (lambda it: edit(it, model_type="evil", auto_map=CODE), "agree with --trust_remote_code"),
    "a tokenizer's code": (
        lambda it: edit(it, "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Tokenizer", None]}),
        "tokenizer_config.json asks to run code",
    ),
    "a kernel from elsewhere": (lambda it: edit(it, attn_implementation="evil/kernel"), "evil/kernel"),
    "an adapter": (lambda it: (it / "adapter_config.json").write_text("{}"), "adapters"),
    "a 200 MB report": (huge_report, "midropout_report.json has 200,000,000 bytes"),
    "a huge header": (huge_header, "model.safetensors is no safetensors file"),
    "deep JSON": (deep_json, "config.json is not valid JSON"),
    "cut off": (cut_off, "but its header describes"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_refused_with_the_reason_at_once(folder, what, monkeypatch):
    monkeypatch.chdir(folder.parent)
    spoil, reason = HOSTILE[what]
    spoil(folder)
    started = time.perf_counter()
    with pytest.raises(ValueError) as refusal:
        check_checkpoint(folder)
    assert time.perf_counter() - started < 2
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400
    assert not Path("exploded").exists()


def test_good_ones_pass(good, tmp_path):
    check_checkpoint(good, no_pickles=True)
    sharded = save_checkpoint(tmp_path / "sharded", max_shard_size="4KB")
    assert (sharded / "model.safetensors.index.json").is_file()
    check_checkpoint(sharded)
    assert checkpoint_folder(good.parent) == checkpoint_folder(good) == good
    with pytest.raises(ValueError, match="must be a folder with a checkpoint"):
        checkpoint_folder(good / "figures")


def test_a_trainers_own_pickles_are_refused_only_where_they_would_be_published(folder):
    (folder / "training_args.bin").write_bytes(b"pickle")
    check_checkpoint(folder)
    with pytest.raises(ValueError, match="training_args.bin: a pickle can run code"):
        check_checkpoint(folder, no_pickles=True)


def test_code_runs_only_with_consent(folder):
    edit(folder, model_type="mine", auto_map=CODE)
    check_checkpoint(folder, trust_remote_code=True)


def test_dtypes_of_weights(tmp_path):
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        state = {
            "a": torch.full((3, 5), 1e4, dtype=dtype),
            "mask": torch.ones(4, dtype=torch.bool),
            "n": torch.tensor(1),
        }
        save_file(state, tmp_path / "x.safetensors")
        check_finite(tmp_path / "x.safetensors")
        assert read_shapes(tmp_path / "x.safetensors") == {"a": (3, 5), "mask": (4,), "n": ()}
        state["a"][1, 1] = -torch.inf
        save_file(state, tmp_path / "x.safetensors")
        with pytest.raises(ValueError, match="a holds 1 NaN or infinite"):
            check_finite(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "C:\\x", "a\\..\\x", "", "x\0", "a\nb"])
def test_names_that_lead_out(name):
    with pytest.raises(ValueError, match="is refused: must be a plain path|must be a plain path"):
        check_names([name])


@pytest.mark.parametrize("command", ["score", "push", "report", "export"])
@pytest.mark.parametrize("what", ["only a pickle", "widths of another model", "code of its own", "a 200 MB report"])
def test_every_command_that_reads_a_checkpoint_refuses(folder, command, what, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    spoil, reason = HOSTILE[what]
    spoil(folder)
    options = {"push": ["me/x"], "export": ["--onnx", "--output", "x.onnx"]}.get(command, [])
    assert main([command, str(folder), *options]) == 1
    assert reason in capsys.readouterr().err
    assert not Path("exploded").exists() and not Path("x.onnx").exists()


def test_a_hostile_repository_is_refused_before_a_file_is_fetched(good, tmp_path):
    """By the command, in a process of its own, whose time and memory are measured."""
    files = contents(good)
    with HubServer(tmp_path / "cas") as hub:
        hub.put("evil/names", {**files, "../../home/x.json": b"{}"})
        hub.put("evil/pickle", {"config.json": files["config.json"], "pytorch_model.bin": pickle.dumps(Bomb())})
        hub.put("evil/report", files)
        report = hub.repositories["evil/report"].commits[hub.put("evil/report", files)]["midropout_report.json"][0]
        hub.xet[report] = ("0" * 64, 200 * 10**6)  # what the listing says of its size
        for name, reason in (
            ("names", "../../home/x.json"),
            ("pickle", "which can run code"),
            ("report", "200,000,000"),
        ):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(
                [sys.executable, "-m", "hf_midropout", "score", f"evil/{name}"], cwd=tmp_path, capture_output=True,
                text=True, env=client_environment(hub, tmp_path / "home"),
            )  # fmt: skip
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert done.returncode == 1 and reason in done.stderr, done.stderr
            # seconds of the processor: a busy machine must not fail the test
            assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2
        assert not [request for request in hub.requests if "/resolve/" in request]
    assert not (tmp_path / "exploded").exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc")
def test_memory_of_a_refusal(good, tmp_path):
    code = """
import re, sys
from pathlib import Path
from hf_midropout.cli import main
status = main(["score", sys.argv[1]])
assert "torch" not in sys.modules
# ru_maxrss would count what the parent had when it forked
print(status, int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    shutil.copytree(good, tmp_path / "hostile")
    huge_report(tmp_path / "hostile")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "hostile")], capture_output=True, text=True)
    status, peak_mib = done.stdout.split()
    assert status == "1" and int(peak_mib) < 500


def test_redaction():
    assert redact("token hf_abcdefghij and xyz", "xyz") == "token [token] and [token]"
