import os
import signal

import pytest
from accelerate.commands.config.config_args import load_config_from_file
from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.utils.launch import prepare_multi_gpu_env
from processes import run_command, run_ranks

from hf_midropout.cli import main
from hf_midropout.training.launcher import CONFIGS, EXPECTED_PROCESSES, check_processes, config_file, launch
from hf_midropout.version import __version__


NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


@pytest.fixture
def clean_environment(monkeypatch):
    for name in (EXPECTED_PROCESSES, "ACCELERATE_USE_CPU"):
        monkeypatch.setenv(name, "")  # so that what `launch` sets is undone after the test
        monkeypatch.delenv(name)


def test_the_named_configurations():
    assert NAMES == ["a100_2x8gpu", "a100_8gpu", "cpu_2", "fsdp2", "gpu", "zero2"]
    wanted = {"gpu": (1, 1, "no"), "a100_8gpu": (8, 1, "bf16"), "a100_2x8gpu": (16, 2, "bf16"), "cpu_2": (2, 1, "no")}
    wanted |= {"fsdp2": (8, 1, "bf16"), "zero2": (8, 1, "bf16")}
    for name in NAMES:
        config = load_config_from_file(str(config_file(name)))
        assert (config.num_processes, config.num_machines, config.mixed_precision) == wanted[name]


@pytest.mark.parametrize("name", NAMES)
def test_accelerate_takes_each(name):
    parsed = launch_command_parser().parse_args(["--config_file", str(config_file(name)), "script.py"])
    arguments, _, _ = _validate_launch_command(parsed)
    assert arguments.multi_gpu == (name not in ("gpu", "fsdp2", "zero2"))
    assert arguments.use_fsdp == (name == "fsdp2") and arguments.use_deepspeed == (name == "zero2")
    if name == "fsdp2":
        environment = prepare_multi_gpu_env(arguments)
        assert (environment["FSDP_VERSION"], environment["FSDP_CPU_RAM_EFFICIENT_LOADING"]) == ("2", "false")
        assert environment["FSDP_STATE_DICT_TYPE"] == "FULL_STATE_DICT"
    if name == "zero2":
        assert arguments.zero_stage == 2 and arguments.zero3_init_flag in (False, "false")


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


def test_signal_handlers_are_as_before(clean_environment):
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def as_torchrun_does(parsed):
        for each in before:
            signal.signal(each, lambda *_: None)

    launch(["train"], "cpu_2", [], as_torchrun_does)
    assert {each: signal.getsignal(each) for each in before} == before


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        ("tpu", [], "'tpu'.*must be a YAML file or one of a100_2x8gpu"),
        ("gpu", ["processes"], "processes: must be name=value"),
        ("gpu", ["no_such=1"], "no such options"),
    ],
)
def test_mistakes(config, settings, message, clean_environment):
    with pytest.raises(ValueError, match=message):
        launch(["train"], config, settings, lambda parsed: pytest.fail("launched"))


@pytest.mark.parametrize(
    ("kind", "section", "settings", "message"),
    [
        ("FSDP", "", [], "fsdp_version=1 is not supported.*MULTI_GPU"),
        ("FSDP", "fsdp_config: {fsdp_version: 2}", [], "fsdp_cpu_ram_efficient_loading=true is not supported"),
        ("DEEPSPEED", "deepspeed_config: {zero_stage: 3}", [], "zero_stage=3 of DeepSpeed is not.*MULTI_GPU"),
        ("DEEPSPEED", "deepspeed_config: {zero_stage: 2}", ["zero_stage=0"], "zero_stage=0"),
        ("MEGATRON_LM", "", [], "MEGATRON_LM with model parallelism is not supported"),
    ],
)
def test_what_cannot_be_right_is_refused_before_launching(
    kind, section, settings, message, tmp_path, clean_environment
):
    file = tmp_path / "sharded.yaml"
    file.write_text(f"distributed_type: {kind}\nmixed_precision: 'no'\nnum_processes: 2\n{section}\n")
    with pytest.raises(ValueError, match=message):
        launch(["train"], str(file), settings, lambda parsed: pytest.fail("launched"))


def test_sharded_weights_are_launched(clean_environment, monkeypatch):
    seen = []
    launch(["train"], "fsdp2", ["num_processes=4"], seen.append)
    assert os.environ[EXPECTED_PROCESSES] == "4" and len(seen) == 1
    monkeypatch.setattr("accelerate.utils.is_deepspeed_available", lambda: False)
    with pytest.raises(ValueError, match="DeepSpeed is not installed: pip install deepspeed"):
        launch(["train"], "zero2", [], seen.append)
    monkeypatch.setattr("accelerate.utils.is_deepspeed_available", lambda: True)
    launch(["train"], "zero2", [], seen.append)
    assert len(seen) == 2


def test_another_number_of_processes_is_refused(clean_environment, monkeypatch, capsys, tmp_path):
    check_processes(1)
    monkeypatch.setenv(EXPECTED_PROCESSES, "4")
    check_processes(4)
    assert main(["train", "--output_dir", str(tmp_path / "out")]) == 1
    assert "4 process(es) were asked for, but 1 started" in capsys.readouterr().err


def test_processes_are_started(clean_environment, capfd):
    launch(["--version"], "cpu_2", ["main_process_port=0"])
    assert capfd.readouterr().out.split() == [__version__] * 2
    with pytest.raises(ChildProcessError, match="One of 2 process"):
        launch(["tarin"], "cpu_2", ["main_process_port=0"])
    assert "'tarin': must be one of train" in capfd.readouterr().err


OPTIONS = ["--num_train_epochs", "1", "--per_device_train_batch_size", "8"]


def test_the_command_runs_in_two_processes(data_folder, tmp_path):
    """Forked, in the environment that the launcher makes."""
    command = ["train", "--dataset", str(data_folder), "--output_dir", str(tmp_path / "out"), *OPTIONS]
    run_ranks(2, tmp_path, run_command, command, **{EXPECTED_PROCESSES: "2"})
    printed = [(tmp_path / f"2_{rank}.log").read_text() for rank in range(2)]
    assert "Saved in" in printed[0] and "Saved in" not in printed[1]
    assert (tmp_path / "out" / "compact" / "model.safetensors").exists()


@pytest.mark.slow
def test_the_command_is_launched(clean_environment, data_folder, tmp_path, capfd):
    """The two tests above in one, by the launcher itself."""
    command = ["train", "--dataset", str(data_folder), "--output_dir", str(tmp_path / "out"), *OPTIONS]
    command += ["--accelerate_config", "cpu_2", "--accelerate", "main_process_port=0"]
    assert main(command) == 0
    printed = capfd.readouterr().out
    assert printed.count("Saved in") == 1
    assert (tmp_path / "out" / "compact" / "model.safetensors").exists()


def test_what_the_command_refuses_is_not_launched(data_folder, tmp_path, capsys):
    (tmp_path / "thesis.txt").touch()
    command = ["train", "--dataset", str(data_folder), "--output_dir", str(tmp_path), "--accelerate_config", "cpu_2"]
    assert main(command) == 1
    assert "is not empty" in capsys.readouterr().err
