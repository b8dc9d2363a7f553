import pytest

from hf_midropout.commands.options.names import as_options, options_named
from hf_midropout.commands.score.arguments import ScoreArguments
from hf_midropout.commands.train.arguments import TrainArguments
from hf_midropout.pruning.config import MIDropoutConfig


def test_options_are_named_as_they_are_written():
    def told(message):
        return as_options(message, ScoreArguments)

    assert told("subset='x' is for Hub datasets") == "--dataset_config 'x' is for Hub datasets"
    assert told("Give delimiter=';'.") == "Give --delimiter ';'."
    assert told("Name one with `text_column`.") == "Name one with `--text_column`."
    assert told("layers='*.fnn' matches") == "--layers '*.fnn' matches"
    for message in ("max_length=5 of no_seed=4", "x.seed=3", "seed==3", "--seed=3", "`unknown` and unknown=3"):
        assert told(message) == message.replace("max_length=5", "--max_length 5")


def test_errors_name_the_options_of_their_command():
    with pytest.raises(ValueError, match=r"^--max_samples 1: not x=2, --seed 3\.$"), options_named(ScoreArguments):
        raise ValueError("max_samples=1: not x=2, seed=3.")
    with (
        pytest.raises(ValueError, match=r"^max_samples=1: --keep 2, --seed 3\.$"),
        options_named(TrainArguments, MIDropoutConfig),
    ):
        raise ValueError("max_samples=1: keep=2, seed=3.")
