"""Checkpoints of someone who means harm are refused, with the reason, before anything of them is loaded."""

import copy
import json
import os
import pickle
import random
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
from transformers import AutoConfig, AutoModelForSequenceClassification

from hf_midropout.checkpoints.checks import check_checkpoint, check_names, checkpoint_folder
from hf_midropout.checkpoints.config_checks import check_values
from hf_midropout.checkpoints.safetensors_checks import check_finite, read_shapes
from hf_midropout.checkpoints.size_checks import LAYERS, Weights, check_sizes, check_total
from hf_midropout.cli import main
from hf_midropout.utils.hub_errors import redact


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


def index(folder: Path, weight_map) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def extra_layer(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["classifier.layers.7.dense.bias"] = torch.zeros(3)
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def huge_report(folder: Path) -> None:
    os.truncate(folder / "midropout_report.json", 200 * 10**6)


def huge_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", 2**40) + b"{}")


def deep_json(folder: Path) -> None:
    (folder / "config.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)


def cut_off(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 9_000)


def raw_config(folder: Path, text: str) -> None:
    path = folder / "config.json"
    path.write_text(path.read_text().replace("{", "{" + text + ",", 1))


def nested(depth: int) -> dict:
    return {"x": nested(depth - 1)} if depth else {}


def sparse(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).touch()
    os.truncate(folder / name, 2 * 10**9)


def header(folder: Path, content: bytes, data: bytes = b"") -> None:
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(content)) + content + data)


def tensor(name: str = "a", **values) -> bytes:
    return json.dumps({name: {"dtype": "F32", "shape": [], "data_offsets": [0, 0], **values}}).encode()


def empty_tensors() -> bytes:
    values = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    return json.dumps({str(number): values for number in range(200_000)}).encode()


def empty_and_huge(folder: Path) -> None:
    edit(folder, hidden_size=9_999_999)
    state = load_file(folder / "model.safetensors")
    save_file(state | {"x": torch.zeros(9_999_999, 0)}, folder / "model.safetensors", {"format": "pt"})


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
    "an adapter": (lambda it: (it / "adapter_config.json").write_text("{}"), "holds a PEFT adapter"),
    "a 200 MB report": (huge_report, "midropout_report.json has 200,000,000 bytes"),
    "a huge header": (huge_header, "model.safetensors is no safetensors file"),
    "deep JSON": (deep_json, "config.json is not valid JSON"),
    "cut off": (cut_off, "but its header describes"),
    "a kernel by its inner name": (lambda it: edit(it, _attn_implementation="evil/kernel@main"), "would load code"),
    "a kernel for a part": (lambda it: edit(it, attn_implementation={"": "sdpa", "x": "evil/k"}), "would load code"),
    "a kernel in an inner config": (
        lambda it: edit(it, text_config={"a": [{"_attn_implementation_internal": "evil/k"}]}), "would load code",
    ),
    "a kernel of experts": (lambda it: edit(it, _experts_implementation="evil/kernel"), "would load code"),
    "a kernel without a slash": (lambda it: edit(it, attn_implementation="paged|evil"), "must be one of eager"),
    "a kernel under another name": (
        lambda it: edit(it, attribute_map={"x": "_attn_implementation_internal"}, x="evil/k"), "attribute_map=",
    ),
    "a million groups": (lambda it: edit(it, num_hidden_groups=10**6), "num_hidden_groups=1000000 is refused"),
    "a million inner layers": (lambda it: edit(it, inner_group_num=10**6), "inner_group_num=1000000 is refused"),
    "two inner layers of one": (lambda it: edit(it, inner_group_num=2), "inner_group_num=2 is refused"),
    "ten million positions": (lambda it: edit(it, max_position_embeddings=10**7), "max_position_embeddings=10000000"),
    "a wide layer": (lambda it: edit(it, intermediate_size=10**7), "intermediate_size=10000000 is refused"),
    "a size in an inner config": (lambda it: edit(it, vision={"hidden_size": 10**7}), "hidden_size=10000000 is"),
    "ten million labels": (lambda it: edit(it, num_labels=10**7), "num_labels=10000000 is refused"),
    "no heads": (lambda it: edit(it, num_attention_heads=0), "num_attention_heads=0 is refused"),
    "labels that are a number": (lambda it: edit(it, id2label=5), "id2label=5 is refused"),
    "labels of lists": (lambda it: edit(it, id2label={"0": []}), "must be an object of class numbers and names"),
    "a type that is a list": (lambda it: edit(it, model_type=[]), "model_type=[] is refused"),
    "a huge token": (lambda it: edit(it, pad_token_id=10**18), "must be the number of a token"),
    "a function": (lambda it: edit(it, hidden_act="os.system"), "must be the name of an activation function"),
    "a huge number": (lambda it: edit(it, x=10**400), "holds the number 1000"),
    "an infinite number": (lambda it: raw_config(it, '"x": 1e999'), "holds the number 1e999"),
    "a number that is none": (lambda it: raw_config(it, '"x": NaN'), "holds the number NaN"),
    "a key twice": (lambda it: raw_config(it, '"hidden_size": 16'), "config.json is not valid JSON"),
    "deep objects": (lambda it: edit(it, x=nested(50)), "objects more than 12 deep"),
    "a huge template": (lambda it: sparse(it, "chat_template.jinja"), "chat_template.jinja has 2,000,000,000 bytes"),
    "huge other templates": (lambda it: sparse(it, "additional_chat_templates/x.jinja"), "has 2,000,000,000 bytes"),
    "a header in UTF-16": (lambda it: header(it, '{"a": 1}'.encode("utf-16")), "is no safetensors file"),
    "a header of texts": (lambda it: header(it, b'{"a": "b"}'), "a has no place in the file"),
    "a dtype that is a list": (lambda it: header(it, tensor(dtype=[])), "dtype [], which is unknown"),
    "a shape of bools": (lambda it: header(it, tensor(shape=[True])), "must be sizes of 0 or more"),
    "a shape of many numbers": (lambda it: header(it, tensor(shape=[10**18] * 9)), "which is too large"),
    "a tensor's name for the terminal": (lambda it: header(it, tensor("\x1b[2J")), "name \\x1b[2J is refused"),
    "200,000 empty tensors": (lambda it: header(it, empty_tensors()), "has 200,000 tensors: 50,000 are allowed"),
    "an index of nothing": (lambda it: index(it, []), "has no weight_map of file names"),
    "an index of a missing file": (lambda it: index(it, {"a": "b.safetensors"}), "'b.safetensors': must be a safe"),
    "an index of a folder": (lambda it: index(it, {"a": "x/b.safetensors"}), "must be a safetensors file of the ch"),
    "an index of 1,001 files": (
        lambda it: index(it, {str(i): f"{i}.safetensors" for i in range(1001)}), "names 1,001 files: 1,000 are",
    ),
    "no tensor": (lambda it: save_file({}, it / "model.safetensors"), "The weights hold no tensor"),
    "a layer too many": (extra_layer, "classifier.layers.7.dense.bias, which head_widths=[6, 4, 3] has no place for"),
    "ten thousand names of labels": (
        lambda it: edit(it, id2label={str(i): "x" for i in range(10**4)}), "id2label=10,000 classes is refused",
    ),
    "a million experts": (lambda it: edit(it, num_local_experts=10**6), "must be at least 0 and at most 16,384"),
    "a million layers of another kind": (lambda it: edit(it, cross_layers=10**6), "must be at most 64"),
    "a million groups of another kind": (lambda it: edit(it, num_hash_groups=10**6), "num_hash_groups=1000000 is ref"),
    "a size that only an empty tensor has": (empty_and_huge, "hidden_size=9999999 is refused"),
}  # fmt: skip


@pytest.mark.parametrize("what", HOSTILE)
def test_refused_with_the_reason_at_once(folder, what, monkeypatch):
    monkeypatch.chdir(folder.parent)
    spoil, reason = HOSTILE[what]
    spoil(folder)
    started = time.process_time()  # of the processor: a busy machine must not fail the test
    with pytest.raises(ValueError) as refusal:
        check_checkpoint(folder)
    assert time.process_time() - started < 2
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 400
    assert not Path("exploded").exists()


def test_good_ones_pass(checkpoint, tmp_path):
    check_checkpoint(checkpoint, no_pickles=True)
    sharded = save_checkpoint(tmp_path / "sharded", max_shard_size="4KB")
    assert (sharded / "model.safetensors.index.json").is_file()
    check_checkpoint(sharded)
    assert checkpoint_folder(checkpoint.parent) == checkpoint_folder(checkpoint) == checkpoint
    with pytest.raises(ValueError, match="must be a folder with a checkpoint"):
        checkpoint_folder(checkpoint / "figures")


def test_a_trainers_own_pickles_are_refused_only_where_they_would_be_published(folder):
    (folder / "training_args.bin").write_bytes(b"pickle")
    check_checkpoint(folder)
    with pytest.raises(ValueError, match="training_args.bin: a pickle can run code"):
        check_checkpoint(folder, no_pickles=True)


def test_more_parameters_than_the_weights_hold(folder):
    """Each of the sizes is small."""
    weights = Weights({"embedding": (4096, 64)}, {"embedding": "F32"})
    config = {"vocab_size": 4096, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 256}
    check_total(config, weights)
    with pytest.raises(ValueError, match="asks for 16,777,216 parameters or more: the weights hold 262,144"):
        check_total({"vocab_size": 4096, "hidden_size": 4096}, weights)
    check_total({**config, "num_hidden_layers": 60, "num_experts": 8}, weights)  # whose layers have other widths


def test_folders_that_hold_no_checkpoint(folder, tmp_path):
    (folder / "config.json").unlink()
    with pytest.raises(ValueError, match="has no config.json"):
        check_checkpoint(folder)
    out, outside = tmp_path / "out", tmp_path / "outside"
    out.mkdir()
    outside.mkdir()
    (outside / "config.json").touch()
    (out / "compact").symlink_to(outside)
    with pytest.raises(ValueError, match="link"):
        checkpoint_folder(out)


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
@pytest.mark.parametrize("what", ["only a pickle", "widths of another model", "code of its own", "a million groups"])
def test_every_command_that_reads_a_checkpoint_refuses(folder, command, what, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    spoil, reason = HOSTILE[what]
    spoil(folder)
    options = {"push": ["me/x"], "export": ["--onnx", "--output", "x.onnx"]}.get(command, [])
    assert main([command, str(folder), *options]) == 1
    assert reason in capsys.readouterr().err
    assert not Path("exploded").exists() and not Path("x.onnx").exists()


def test_a_hostile_repository_is_refused_before_a_file_is_fetched(checkpoint, tmp_path):
    """By the command, in a process of its own, whose time and memory are measured."""
    files = contents(checkpoint)
    with HubServer(tmp_path / "cas") as hub:
        hub.put("evil/names", {**files, "../../home/x.json": b"{}"})
        hub.put("evil/pickle", {"config.json": files["config.json"], "pytorch_model.bin": pickle.dumps(Bomb())})
        hub.put("evil/report", files)
        report = hub.repositories["evil/report"].commits[hub.put("evil/report", files)]["midropout_report.json"][0]
        hub.xet[report] = ("0" * 64, 200 * 10**6)  # what the listing says of its size
        code = "import sys; from hf_midropout.cli import main; print([main(['score', name]) for name in sys.argv[1:]])"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-c", code, "evil/names", "evil/pickle", "evil/report"], cwd=tmp_path,
            capture_output=True, text=True, env=client_environment(hub, tmp_path / "home"),
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert done.stdout.splitlines()[-1] == "[1, 1, 1]", done.stderr
        for reason, line in zip(
            ("../../home/x.json", "which can run code", "200,000,000"), done.stderr.splitlines(), strict=True
        ):
            assert reason in line
        # seconds of the processor, which a busy machine makes longer: what is refused would take minutes
        assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 10
        assert not [request for request in hub.requests if "/resolve/" in request]
    assert not (tmp_path / "exploded").exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak memory from Linux's /proc")
def test_memory_of_a_refusal(checkpoint, tmp_path):
    code = """
import re, sys
from pathlib import Path
from hf_midropout.cli import main
status = main(["score", sys.argv[1]])
assert "torch" not in sys.modules
# ru_maxrss would count what the parent had when it forked
print(status, int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024)
"""
    shutil.copytree(checkpoint, tmp_path / "hostile")
    huge_report(tmp_path / "hostile")
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "hostile")], capture_output=True, text=True)
    status, peak_mib = done.stdout.splitlines()[-1].split()
    assert status == "1" and int(peak_mib) < 500


def test_redaction():
    assert redact("token hf_abcdefghij and xyz", "xyz") == "token [token] and [token]"


NASTY = [
    None, True, -1, 0, 1, 2, 37, 4096, 10**6, 10**18, 10**400, 0.5, 1e308, "", "16", "os.system", "evil/k", "\x1b[2J",
    [], [[]], [10**9], {}, {"0": 1}, {"a": {"b": []}},
]  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_changed_only_a_refusal_comes_out(folder, seed):
    """Random changes of config, index and header: accepted or refused, never another exception."""
    draw = random.Random(seed)
    config = json.loads((folder / "config.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    length = struct.unpack("<Q", weights[:8])[0]
    tensors = json.loads(weights[8 : 8 + length])
    refused = 0
    for _ in range(60):
        changed, changed_tensors, data = dict(config), copy.deepcopy(tensors), weights[8 + length :]
        for _ in range(draw.randint(1, 2)):
            whole = [each for each in changed_tensors.values() if isinstance(each, dict)]
            target = draw.choice([changed, changed, changed_tensors, draw.choice(whole)])
            key = draw.choice([*target, *target, "inner_group_num", "text_config", "\ud800"])
            target[key] = draw.choice([*NASTY, {"hidden_size": draw.choice(NASTY)}])
        content = json.dumps(changed_tensors).encode()
        if draw.random() < 0.2:
            place = draw.randrange(len(content))
            content = content[:place] + draw.randbytes(draw.randint(0, 3)) + content[place + 1 :]
        (folder / "config.json").write_text(json.dumps(changed))
        header(folder, content, data)
        try:
            check_checkpoint(folder)
        except ValueError as error:
            refused += 1
            assert len(str(error)) < 600 and str(error).isprintable()
    assert refused > 30


@pytest.mark.parametrize(
    "model_type", ["albert", "bert", "deberta-v2", "distilbert", "electra", "gpt2", "modernbert", "roberta", "xlnet"]
)
def test_other_architectures_pass(model_type):
    config = AutoConfig.for_model(model_type)
    with torch.device("meta"):
        state = AutoModelForSequenceClassification.from_config(config).state_dict()
    weights = Weights({name: tuple(each.shape) for name, each in state.items()}, dict.fromkeys(state, "F32"))
    for content in (config.to_json_string(), config.to_json_string(use_diff=False)):
        values = json.loads(content)
        check_values(values)
        check_sizes(values, weights)
        check_total(values, weights)
    deeper = {key: value * 50 for key, value in values.items() if key in LAYERS and isinstance(value, int)}
    if model_type != "albert":  # whose layers are shared
        with pytest.raises(ValueError, match="as many as the weights have"):
            check_sizes(values | deeper, weights)
    with pytest.raises(ValueError, match="is refused"):
        check_sizes(values | {"inner_group_num": 1000, "n_layer": 10**6}, weights)
