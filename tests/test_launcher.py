import os

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser

from hf_midropout.cli import main
from hf_midropout.launcher import CONFIGS, EXPECTED_PROCESSES, check_processes, config_file, launch


NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.fixture
def clean_environment(monkeypatch):
    for name in (EXPECTED_PROCESSES, "ACCELERATE_USE_CPU"):
        monkeypatch.setenv(name, "")  # so that what `launch` sets is undone after the test
        monkeypatch.delenv(name)


def test_the_named_configurations():
    assert NAMES == ["a100_2x8gpu", "a100_8gpu", "cpu_2", "gpu"]
    wanted = {"gpu": (1, 1, "no"), "a100_8gpu": (8, 1, "bf16"), "a100_2x8gpu": (16, 2, "bf16"), "cpu_2": (2, 1, "no")}
    for name in NAMES:
        config = load_config_from_file(str(config_file(name)))
        assert (config.num_processes, config.num_machines, config.mixed_precision) == wanted[name]


@pytest.mark.parametrize("name", NAMES)
def test_accelerate_takes_each(name):
    parsed = launch_command_parser().parse_args(["--config_file", str(config_file(name)), "script.py"])
    arguments, _, _ = _validate_launch_command(parsed)
    assert arguments.multi_gpu == (name != "gpu")
    assert not arguments.use_fsdp and not arguments.use_deepspeed


def test_what_is_launched(clean_environment):
    seen = []
    launch(["train", "--keep", "0.25"], "a100_2x8gpu", ["machine_rank=1", "num_processes=32"], seen.append)
    (parsed,) = seen
    assert parsed.module and parsed.training_script == "hf_midropout"
    assert parsed.training_script_args == ["train", "--keep", "0.25"]
    assert (parsed.machine_rank, parsed.num_processes) == (1, 32)
    assert os.environ[EXPECTED_PROCESSES] == "32" and "ACCELERATE_USE_CPU" not in os.environ
    launch(["train"], "cpu_2", [], seen.append)
    assert os.environ[EXPECTED_PROCESSES] == "2" and os.environ["ACCELERATE_USE_CPU"] == "true"


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        ("tpu", [], "'tpu'.*must be a YAML file or one of a100_2x8gpu"),
        ("gpu", ["processes"], "processes: must be name=value"),
        ("gpu", ["no_such=1"], "no such options"),
    ],
)
def test_mistakes(config, settings, message, clean_environment, capsys):
    with pytest.raises(ValueError, match=message):
        launch(["train"], config, settings, lambda parsed: pytest.fail("launched"))


@pytest.mark.parametrize("kind", ["FSDP", "DEEPSPEED"])
def test_sharded_weights_are_refused_before_launching(kind, tmp_path, clean_environment):
    file = tmp_path / "sharded.yaml"
    file.write_text(f"distributed_type: {kind}\nmixed_precision: 'no'\nnum_processes: 2\n")
    with pytest.raises(ValueError, match=f"{kind} is not supported.*MULTI_GPU"):
        launch(["train"], str(file), [], lambda parsed: pytest.fail("launched"))


def test_another_number_of_processes_is_refused(clean_environment, monkeypatch, capsys, tmp_path):
    check_processes(1)
    monkeypatch.setenv(EXPECTED_PROCESSES, "4")
    check_processes(4)
    assert main(["train", "--output_dir", str(tmp_path / "out")]) == 1
    assert "4 process(es) were asked for, but 1 started" in capsys.readouterr().err


def test_the_command_runs_in_two_processes(clean_environment, data_folder, tmp_path, capfd):
    options = ["--dataset", str(data_folder), "--output_dir", str(tmp_path / "out"), "--num_train_epochs", "1"]
    launched = [*options, "--per_device_train_batch_size", "8", "--accelerate_config", "cpu_2"]
    assert main(["train", *launched, "--accelerate", "main_process_port=0"]) == 0
    printed = capfd.readouterr().out
    assert printed.count("Saved in") == 1
    assert (tmp_path / "out" / "compact" / "model.safetensors").exists()

    assert main(["train", *launched, "--accelerate", "main_process_port=0"]) == 1  # the folder is not empty
    assert "is not empty" in capfd.readouterr().err
