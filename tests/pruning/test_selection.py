import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hf_midropout import MIDropoutConfig
from hf_midropout.pruning.selection import NothingToSelect, nested_selections, select, select_counts


def importance(**layers) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(values, dtype=torch.float64) for name, values in layers.items()}


VALUES = importance(first=[0.1, 0.9, 0.5, 0.7], second=[0.2, 0.3])
layers_of_values = st.lists(
    st.lists(st.sampled_from([-torch.inf, 0.0, 0.25, 0.5, 0.75, 1.0]), min_size=1, max_size=6), min_size=1, max_size=3
).filter(lambda layers: all(max(layer) > -torch.inf for layer in layers))


def kept(**rule) -> dict[str, list[int]]:
    return {name: mask.nonzero().flatten().tolist() for name, mask in select(VALUES, **rule).kept.items()}


def test_threshold_is_global_and_inclusive():
    assert kept(threshold=0.3) == {"first": [1, 2, 3], "second": [1]}


def test_fraction_of_each_layer_and_of_all():
    assert kept(keep=0.5) == {"first": [1, 3], "second": [1]}
    assert kept(keep=0.5, scope="global") == {"first": [1, 2, 3], "second": [1]}  # 1 is the guard's


def test_ties_keep_the_lower_index():
    tied = select(importance(layer=[0.5, 0.5, 0.5, 0.5]), keep=0.5)
    assert tied.kept["layer"].tolist() == [True, True, False, False]


def test_no_layer_goes_to_zero(caplog):
    assert kept(threshold=0.6) == {"first": [1, 3], "second": [1]}
    assert "all 2 neurons of second: keeping its best one, neuron 1 with 0.3000" in caplog.text


@pytest.mark.parametrize(("threshold", "what"), [(0.05, "none"), (1.5, "all")])
def test_all_or_nothing_is_refused_with_the_numbers(threshold, what):
    with pytest.raises(NothingToSelect, match=rf"drop {what} of 6 neurons.*0.1000 to 0.9000"):
        select(VALUES, threshold=threshold)


def test_counts_are_kept_exactly():
    chosen = select_counts(VALUES, {"first": 3, "second": 1})
    assert chosen.widths == {"first": (3, 4), "second": (1, 2)}
    assert chosen.threshold == {"first": 0.5, "second": 0.3}


@example(layers=[[0.0], [0.25]], scope="global", limit=None)  # the guard alone: nothing to drop
@given(layers=layers_of_values, scope=st.sampled_from(["layer", "global"]), limit=st.sampled_from([None, 3]))
def test_nested_selections_are_nested_and_bring_nobody_back(layers, scope, limit):
    values = importance(**{str(index): layer for index, layer in enumerate(layers)})
    levels = nested_selections(values, scope, limit)
    before = {name: layer > -torch.inf for name, layer in values.items()}
    for number, level in enumerate(levels):
        assert all(mask.any() for mask in level.kept.values())
        assert all((~mask | before[name]).all() for name, mask in level.kept.items())
        assert any((mask != before[name]).any() for name, mask in level.kept.items()), number
        before = level.kept
    if limit is None and scope == "layer" and levels:
        assert all(int(mask.sum()) == 1 for mask in levels[-1].kept.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 0.3, "keep": 0.5}, "one of the two"),
        ({"threshold": 0.0}, "would drop nothing"),
        ({"keep": 1.0}, "would drop nothing"),
        ({"keep": 0.0}, "would drop everything"),
        ({"scope": "model"}, "'model'.*'global'"),
        ({"action": "shrink"}, "'shrink'.*'prune'"),
        ({"criterion": "size"}, "'size'.*'mutual_information'.*'random'"),
        ({"reconstruction": "some"}, "'some'.*'least_squares'"),
        ({"metric": "f1"}, "'f1'.*'macro_f1'"),
        ({"threshold": "find"}, "'find'.*'search'"),
        ({"threshold": 0.3, "criterion": "magnitude"}, "not in bits"),
        ({"dropout_rate": 1.0}, r"dropout_rate=1.0.*\(0, 1\)"),
        ({"pruning_steps": 0}, "pruning_steps=0"),
        ({"pruning_steps": 2, "threshold": 0.3}, "final budget"),
        ({"pruning_steps": 2, "action": "dropout"}, "action='prune'"),
        ({"margin": 0.0}, "margin=0.0"),
        ({"alpha": 0.5}, "alpha=0.5"),
        ({"start": 0.0}, "start=0.0"),
        ({"start": 1.5}, "start=1.5"),
        ({"start": "two epochs"}, "two epochs"),
        ({"score_samples": 0}, "score_samples=0"),
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
