import pytest
import torch

from hf_midropout import MIDropoutConfig, NeuronScores
from hf_midropout.information import MutualInformation
from hf_midropout.selection import NothingToSelect, select


def scores_of(**layers) -> NeuronScores:
    made = {
        name: MutualInformation(torch.tensor(bits, dtype=torch.float64), torch.zeros(len(bits)),
                                torch.zeros(len(bits)), 2.0, 100)
        for name, bits in layers.items()
    }  # fmt: skip
    return NeuronScores(made, num_classes=4)


SCORES = scores_of(first=[0.1, 0.9, 0.5, 0.7], second=[0.2, 0.3])


def kept(config) -> dict[str, list[int]]:
    return {name: mask.nonzero().flatten().tolist() for name, mask in select(SCORES, config).kept.items()}


def test_threshold_is_global_and_inclusive():
    assert kept(MIDropoutConfig(threshold=0.3)) == {"first": [1, 2, 3], "second": [1]}


def test_fraction_of_each_layer_and_of_all():
    assert kept(MIDropoutConfig(keep=0.5)) == {"first": [1, 3], "second": [1]}
    assert kept(MIDropoutConfig(keep=0.5, scope="global")) == {"first": [1, 2, 3], "second": [1]}  # 1 is the guard's


def test_ties_keep_the_lower_index():
    tied = select(scores_of(layer=[0.5, 0.5, 0.5, 0.5]), MIDropoutConfig(keep=0.5))
    assert tied.kept["layer"].tolist() == [True, True, False, False]


def test_no_layer_goes_to_zero(caplog):
    assert kept(MIDropoutConfig(threshold=0.6)) == {"first": [1, 3], "second": [1]}
    assert "all 2 neurons of second: keeping its best one, neuron 1 with 0.3000 bits" in caplog.text


@pytest.mark.parametrize(("threshold", "what"), [(0.05, "none"), (1.5, "all")])
def test_all_or_nothing_is_refused_with_the_numbers(threshold, what):
    with pytest.raises(NothingToSelect, match=rf"drop {what} of 6 neurons.*0.1000 to 0.9000 bits"):
        select(SCORES, MIDropoutConfig(threshold=threshold))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.3, "keep": 0.5}, "one of the two"),
        ({"threshold": 0.0}, "would drop nothing"),
        ({"keep": 1.0}, "would drop nothing"),
        ({"keep": 0.0}, "would drop everything"),
        ({"scope": "model"}, "'model'.*'global'"),
        ({"action": "shrink"}, "'shrink'.*'prune'"),
        ({"start": 0.0}, "start=0.0"),
        ({"start": 1.5}, "start=1.5"),
        ({"start": "two epochs"}, "two epochs"),
        ({"max_samples": 0}, "max_samples=0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        MIDropoutConfig(**options)


@pytest.mark.parametrize(("start", "step"), [(0.5, 50), (30, 30), ("2 epochs", 20), ("0.5 epochs", 5), (0.001, 1)])
def test_start_step(start, step):
    assert MIDropoutConfig(start=start).start_step(max_steps=100, steps_per_epoch=10) == step


@pytest.mark.parametrize("start", [100, "10 epochs"])
def test_start_must_leave_steps_to_retrain(start):
    with pytest.raises(ValueError, match="step 100, but training has 100 steps"):
        MIDropoutConfig(start=start).start_step(max_steps=100, steps_per_epoch=10)


def test_threshold_above_the_ceiling():
    with pytest.raises(ValueError, match=r"threshold=2.0 bits would drop everything.*log2\(4\) = 2.000"):
        MIDropoutConfig(threshold=2.0).check_classes(4)
