"""Options that make no sense are told with their names, before torch is imported."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hf_midropout.cli import main
from hf_midropout.commands.train.arguments import TrainArguments
from hf_midropout.commands.train.checks import check_options, check_resumed
from hf_midropout.commands.train.command import make_parser


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 10_000}, "--max_length 10000: the tiny model takes at most 512 tokens"),
        ({"head_widths": [10**9]}, "--head_widths 1000000000: must be widths of 1 to 1,000,000 neurons"),
        ({"max_train_samples": 1}, "--max_train_samples 1: must be 2 or more"),
        ({"max_eval_samples": 0}, "--max_eval_samples 0"),
        ({"learning_rate": float("nan")}, "--learning_rate nan: must be a number above 0"),
        ({"num_train_epochs": float("inf")}, "--num_train_epochs inf"),
        ({"per_device_train_batch_size": 0}, "--per_device_train_batch_size 0: must be 1 or more"),
        ({"seed": -1}, "--seed -1: must be 0 to 4294967295"),
        ({"bf16": True, "fp16": True}, "--bf16 and --fp16: give one"),
        ({"resume": "true", "overwrite_output_dir": True}, "--resume and --overwrite_output_dir: give one"),
        ({"accelerate": ["num_processes=2"]}, "name one with --accelerate_config"),
        ({"accelerate_config": "tpu"}, "--accelerate_config 'tpu': must be a YAML file or one of"),
        (
            {"model": "./nowhere"},
            "--model ./nowhere: There is no file or folder './nowhere'. Nor is it an id",
        ),
        ({"dataset": "nowhere.csv"}, "--dataset nowhere.csv: There is no file or folder 'nowhere.csv'. Nor is it"),
        (
            {"dataset": f"{Path(__file__).parent}/test_option_check.py"},
            "Near names in its folder: test_",
        ),
        ({"dataset": ""}, "The name '' is empty."),
        ({"dataset": "a\udcff"}, "is not valid UTF-8"),
    ],
)
def test_each_is_told_as_it_was_typed(options, message):
    with pytest.raises(ValueError) as told:
        check_options(TrainArguments(**options))
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("options", "resume"),
    [
        ([], None),
        (["--resume", "--bf16"], "true"),
        (["--resume_from_checkpoint"], "true"),
        (["--resume_from_checkpoint", "True"], "true"),
        (["--resume-from-checkpoint", "out/checkpoint-10"], "out/checkpoint-10"),
        (["--resume=false"], None),
    ],
)
def test_resuming_as_in_scripts_of_transformers(options, resume):
    assert make_parser().parse_args_into_dataclasses(options)[0].resume == resume


def test_only_the_newest_checkpoint_is_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    newest = str(tmp_path / "out" / "checkpoint-10")
    for named in (None, "true", "out/checkpoint-10", f"{newest}/"):
        check_resumed(TrainArguments(resume=named), newest)
    with pytest.raises(ValueError) as told:
        check_resumed(TrainArguments(resume="out/checkpoint-5"), newest)
    assert str(told.value).startswith(f"--resume out/checkpoint-5: must be {newest}, the newest whole checkpoint in")


def test_the_defaults_pass():
    check_options(TrainArguments())
    check_options(TrainArguments(model="albert/albert-base-v2", dataset="fancyzhx/ag_news", max_length=512))


def test_a_bad_value_is_told_without_torch():
    bad = [["--keep", "1.5"], ["--seed", "-1"], ["--model", "./nowhere"], ["--output_dir", "."]]
    code = (
        "import json, sys; from hf_midropout.cli import main\n"
        "for options in json.loads(sys.argv[1]): print(main(['train', *options]), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(bad)], capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if not line.startswith("hf-midropout ")]
    assert told == ["1 False"] * len(bad), done.stderr
    for options, error in zip(bad, done.stderr.splitlines(), strict=True):
        assert options[0] in error


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--sede", "1"], "unknown option '--sede'. Did you mean --seed?"),
        (["--seed", "abc"], "--seed: invalid int value: 'abc'"),
        (["--bf16", "maybe"], "--bf16: Truthy value expected"),
        (["stray"], "unknown argument 'stray'"),
        (["--scope", "world"], "--scope: invalid choice: 'world' (choose from"),
    ],
)
def test_a_malformed_command_line_is_one_line_and_status_2(options, message, capsys):
    assert main(["train", *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and "hf-midropout train --help" in error
