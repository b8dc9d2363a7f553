import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from hf_midropout import MIDropoutConfig, choices
from hf_midropout.pruning import criteria


def test_choices_are_what_the_functions_offer():
    assert list(choices.CRITERION_NAMES) == list(criteria.CRITERIA)
    assert list(choices.ENCODER_CRITERION_NAMES) == list(criteria.ENCODER_CRITERIA)


def test_a_criterion_of_ones_own_can_be_chosen(monkeypatch):
    with pytest.raises(ValueError, match="criterion='mine' with targets='head': must be one of 'mutual_information'"):
        MIDropoutConfig(criterion="mine")
    monkeypatch.setitem(criteria.CRITERIA, "mine", criteria.magnitude)
    assert MIDropoutConfig(criterion="mine").criterion == "mine"


def test_it_is_fixed_and_copies_can_be_changed():
    config = MIDropoutConfig()
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.keep = 7
    assert dataclasses.replace(config, threshold="search").keep is None
    with pytest.raises(ValueError, match="keep=7"):
        dataclasses.replace(config, keep=7)
    assert MIDropoutConfig(**json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    "values",
    [
        {"keep": "0.5"}, {"keep": np.float32(0.5)}, {"keep": True}, {"threshold": [1.0]}, {"threshold": True},
        {"pruning_steps": 2.0}, {"pruning_steps": True}, {"margin": "0.01"}, {"margin": float("nan")},
        {"margin": float("inf")},
        {"alpha": None}, {"seed": 1.5}, {"score_samples": 2.5}, {"score_samples": "10"}, {"graded": 1},
        {"start": None},
        {"start": np.int64(3)}, {"dropout_rate": np.float32(0.5)}, {"scope": ["layer"]},
        {"eval_dataset": 3}, {"rewind_learning_rate": "yes"}, {"keep": float("nan")},
    ],
)  # fmt: skip
def test_wrong_types_name_the_option(values):
    with pytest.raises(ValueError, match=next(iter(values))):
        MIDropoutConfig(**values)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_training_too_short_for_two_phases_is_told_without_an_empty_range(steps):
    with pytest.raises(ValueError, match=rf"{steps} optimizer step\(s\): needs at least 2"):
        MIDropoutConfig().start_step(steps, None)


def test_options_are_checked_without_torch():
    code = "import sys; from hf_midropout.pruning.config import MIDropoutConfig; MIDropoutConfig(keep=0.3); "
    subprocess.run([sys.executable, "-c", code + "assert 'torch' not in sys.modules"], check=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"action": "none", "graded": True}, "graded=True has no effect with action='none'"),
        ({"action": "none", "keep": 0.5}, "keep=0.5 has no effect with action='none'"),
        ({"action": "dropout", "reconstruction": "mean"}, "reconstruction='mean' has no effect with action='dropout'"),
        (
            {"keep": 0.5, "metric": "loss"},
            "metric='loss' has no effect with threshold=None: it needs threshold='search'",
        ),
        ({"dropout_rate": 0.3}, "dropout_rate=0.3 has no effect with action='prune'"),
        ({"distill_temperature": 3.0}, "no effect with distill=0.0: it needs distill above 0"),
        ({"reconstruction_samples": 500}, "no effect with targets='head': it needs targets='encoder' or 'all'"),
        (
            {"targets": "encoder", "action": "none", "reconstruction_samples": 500},
            "no effect with action='none': it needs an action that drops neurons",
        ),
    ],
)
def test_fields_without_effect_are_refused(fields, message):
    with pytest.raises(ValueError) as told:
        MIDropoutConfig(**fields)
    assert message in str(told.value)


def test_one_configuration_for_python_files_and_the_command_line(tmp_path):
    from transformers import HfArgumentParser

    config = MIDropoutConfig(start="2 epochs", threshold="search", margin=0.02, score_samples=None)
    config.save(tmp_path / "config.json")
    assert MIDropoutConfig.load(tmp_path / "config.json") == config == MIDropoutConfig.from_dict(config.to_dict())
    assert dataclasses.replace(config, margin=0.03).margin == 0.03 and config.margin == 0.02
    (parsed,) = HfArgumentParser(MIDropoutConfig).parse_args_into_dataclasses(["--keep", "0.25", "--start", "300"])
    assert parsed == MIDropoutConfig(keep=0.25, start=300) and parsed.start_step(1000, None) == 300
    with pytest.raises(ValueError, match="kep: no field of MIDropoutConfig"):
        MIDropoutConfig.from_dict({"kep": 0.5})
    assert MIDropoutConfig(threshold="0.2").threshold == 0.2 and MIDropoutConfig(start="300").start == 300
    assert all(field.metadata["help"] for field in dataclasses.fields(MIDropoutConfig))
