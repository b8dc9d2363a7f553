"""`--help` as a stranger reads it."""

import importlib
import re
from dataclasses import fields

import pytest
from transformers import TrainingArguments

from hf_midropout.cli import COMMANDS, main
from hf_midropout.commands.options.help_text import place_of
from hf_midropout.commands.train.arguments import DEFAULTS, TrainArguments
from hf_midropout.commands.train.trainer_options import GROUPS, UNUSED, training_help
from hf_midropout.utils.terminal import WIDTH


def help_of(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_once_in_a_group_within_80_columns(command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = help_of(capsys, command, "--help")
    assert text.startswith(f"usage: hf-midropout {command} ") and text.splitlines()[0].endswith("[OPTION ...]")
    parser = importlib.import_module(f"hf_midropout.commands.{command}").make_parser()
    for kind in parser.dataclass_types:
        for field in fields(kind):
            if f"{kind.__name__}.{field.name}" in parser.hidden:
                continue
            assert place_of(field.name, parser.groups), field.name
            assert len(re.findall(rf"^  (?:--\w+, )*--{field.name}\b", text, re.M)) == 1, field.name
    assert not re.search(r"--\w+-", text), "both spellings of an option"
    assert "None)" not in text and "False)" not in text
    assert [line for line in text.splitlines() if len(line) > WIDTH or re.search(r"hf-$", line)] == []
    assert [title for title in parser.groups if f"\n{title}:\n" not in text] == []


def test_all_options_of_the_trainer(capsys):
    assert "--dataloader_num_workers" not in help_of(capsys, "train", "--help")
    text = help_of(capsys, "train", "--help_all")
    for field in fields(TrainingArguments):
        shown = len(re.findall(rf"^  (?:--\w+, )*--{field.name}\b", text, re.M))
        unused = any(sign in field.metadata["help"] for sign in UNUSED) and field.name != "resume_from_checkpoint"
        assert shown == (0 if unused else 1), field.name
    assert [title for title in GROUPS if f"\n{title}:\n" not in text] in ([], ["Trainer: others"])
    (saving,) = re.findall(r"--save_strategy.*?default:\s+(\w+)\)", text, re.S)
    assert saving == DEFAULTS["save_strategy"] == "epoch"


def test_what_the_command_has_itself_is_not_told_twice():
    text = training_help(DEFAULTS)
    assert [field.name for field in fields(TrainArguments) if re.search(rf"--{field.name}\b", text)] == []


def test_how_options_read(capsys):
    text = " ".join(help_of(capsys, "prune", "--help").split())
    assert "usage: hf-midropout prune CHECKPOINT --output_dir FOLDER [OPTION ...]" in text
    assert "--compare, --no_compare Also prune by" in text and "(default: yes)" in text
    assert "--trim_vocabulary Keep the tokens" in text  # a switch takes nothing
    assert "--keep_layers N Layers of the encoder" in text and "changes least. Default: all." in text
    assert "--latency_batch_size N ..." in text and "(default: 1)" in text
    assert "{layer,global}" in text and "(default: layer)" in text and "(default: 0.01)" in text


def test_patterns_of_names():
    groups = {"a": "one two_*", "b": "*"}
    assert place_of("one", groups) == ("a", 0) and place_of("two_three", groups) == ("a", 1)
    assert place_of("other", groups) == ("b", 0) and place_of("x", {"a": "one"}) is None
