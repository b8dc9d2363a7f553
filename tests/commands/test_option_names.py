from hf_midropout.commands.option_names import as_options
from hf_midropout.commands.score import ScoreArguments


def test_options_are_named_as_they_are_written():
    def told(message):
        return as_options(message, ScoreArguments)

    assert told("subset='x' is for Hub datasets") == "--dataset_config 'x' is for Hub datasets"
    assert told("Give delimiter=';'.") == "Give --delimiter ';'."
    assert told("Name one with `text_column`.") == "Name one with `--text_column`."
    assert told("layers='*.fnn' matches") == "--layers '*.fnn' matches"
    for message in ("max_length=5 of no_seed=4", "x.seed=3", "seed==3", "--seed=3", "`unknown` and unknown=3"):
        assert told(message) == message.replace("max_length=5", "--max_length 5")
