import pandas as pd
import pytest

from hf_midropout.study.pairs import pairs, tally


@pytest.fixture
def table() -> pd.DataFrame:
    """Ours is 0.1 above dropout on each seed of two datasets, and as random pruning give or take."""
    noise = [0.01, -0.01, 0.02, -0.02, 0.0]
    rows = [
        (dataset, "200", method, seed, "accuracy", 0.5 + gain + spread * noise[seed])
        for dataset in ("news", "films")
        for method, gain, spread in (("dropout", 0, 0), ("mi_prune", 0.1, 0.1), ("random_prune", 0.1, 1))
        for seed in range(5)
    ]
    return pd.DataFrame(rows, columns=["dataset", "size", "method", "seed", "metric", "value"])


def test_every_form_beside_every_other_method(table):
    found = pairs(table, "accuracy")
    assert found[["dataset", "method", "other"]].values.tolist() == [
        ["news", "mi_prune", "dropout"], ["news", "mi_prune", "random_prune"],
        ["films", "mi_prune", "dropout"], ["films", "mi_prune", "random_prune"],
    ]  # fmt: skip
    assert found["mean"].tolist() == pytest.approx([0.1, 0, 0.1, 0], abs=1e-12)
    assert (found.low <= found["mean"]).all() and (found["mean"] <= found.high).all()
    assert found.p_value[0] < 0.001 and found.p_value[1] == 1


def test_p_values_are_corrected_for_all_of_a_dataset(table):
    alone = pairs(table[table.method != "random_prune"], "accuracy").p_value[0]
    assert pairs(table, "accuracy").p_value[0] == pytest.approx(2 * alone)


def test_tally(table):
    cells = tally(pairs(table, "accuracy"))
    assert cells.loc["Dropout", "MI-Dropout (prune)"] == "2 : 0" and cells.loc["random (prune)"].tolist() == [""]
    assert tally(pairs(table, "accuracy"), higher_is_better=False).loc["Dropout"].tolist() == ["0 : 2"]


def test_nothing_to_compare(table):
    assert pairs(table[table.method == "dropout"], "accuracy").empty
    assert pairs(table[table.seed == 0], "accuracy").empty
