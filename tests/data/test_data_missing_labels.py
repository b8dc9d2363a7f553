import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_midropout.data import datasets as data_module
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.data.files import RawSplits
from hf_midropout.data.missing_labels import find_labelled


@pytest.fixture
def load(monkeypatch):
    def load(labels, features=None, **splits):
        made = {
            name: Dataset.from_dict(
                {"text": [f"row {index}" for index in range(len(values))], "label": values}, features=features
            )
            for name, values in {"train": labels, "validation": labels, **splits}.items()
        }
        monkeypatch.setattr(data_module, "read_splits", lambda name, subset, options: RawSplits(made))
        return load_text_classification("some/dataset")

    return load


def test_whole_numbers_stored_as_floats_are_classes(load):
    data = load([0.0, 1.0, 2.0, float("nan"), 1.0])
    assert data.label_names == ["0", "1", "2"]
    assert data.splits["train"][:] == {"text": ["row 0", "row 1", "row 2", "row 4"], "label": [0, 1, 2, 1]}
    assert "train: 1 row without a label (empty) dropped" in data.notes
    assert load([0.0, 1.0], test=[1, 0]).splits["test"]["label"][:] == [1, 0]


@pytest.mark.parametrize(
    ("labels", "kept", "how"),
    [
        (["a", "", "b", None, "a", " "], ["a", "b", "a"], "empty"),
        ([0, -100, 1, 0], ["0", "1", "0"], "-100"),
        ([True, None, False], ["True", "False"], "empty"),
        ([0.0, -100.0, 1.0], ["0", "1"], "-100"),
    ],
)
def test_rows_without_a_label_are_dropped_with_a_count(load, labels, kept, how):
    data = load(labels)
    assert [data.label_names[index] for index in data.splits["train"]["label"]] == kept
    missing = len(labels) - len(kept)
    assert f"train: {missing} row{'s' * (missing > 1)} without a label ({how}) dropped" in data.notes


def test_minus_one_is_a_mark_in_a_class_label_and_may_be_a_class_elsewhere(load):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    data = load([0, -1, 1], features)
    assert data.splits["train"]["label"][:] == [0, 1]
    assert "train: 1 row without a label (-1) dropped" in data.notes
    with pytest.raises(ValueError, match=r"-1 \(1 row\) of 3.*-1 may stand for rows without a label or be a class"):
        load([-1, 0, 1])


def test_more_than_half_without_a_label_is_no_accident(load):
    with pytest.raises(ValueError, match="'train': 3 of 5 rows, more than half, have no label in column 'l"):
        load(["a", "b", None, None, ""])
    assert "test: left out, all of its labels are -100" in load(["a", "b"], test=[-100, -100]).notes
    assert "test: left out, all of its labels are missing" in load(["a", "b"], test=[None, ""]).notes


def test_labels_that_files_gave_another_type(load):
    data = load(["1", "2", "x"], test=[2, 1])
    assert data.splits["test"]["label"][:] == [1, 0]
    assert "test: labels are read as text, as in train" in data.notes
    assert load([1, 2], test=["2", "1"]).splits["test"]["label"][:] == [1, 0]
    with pytest.raises(ValueError, match="does not have: .*'b' .1 row."):
        load([1, 2], test=["2", "b"])


@settings(max_examples=50)
@given(st.lists(st.sampled_from([None, "", -100, float("nan"), 0, 1, "a"]), min_size=1, max_size=12))
def test_what_is_dropped_is_what_is_counted(values):
    notes: list[str] = []
    missing = [value not in (0, 1, "a") for value in values]
    if 2 * sum(missing) > len(values) and not all(missing):
        with pytest.raises(ValueError, match=f": {sum(missing)} of {len(values)} rows, more than half"):
            find_labelled(values, Value("string"), "label", "train", notes)
        return
    found = find_labelled(values, Value("string"), "label", "train", notes)
    if all(missing):
        assert found is None
        return
    assert found == [not each for each in missing]
    assert len(notes) == any(missing)


def test_messages_list_few_of_many_classes(load):
    many = [f"class {index}" for index in range(1000)]
    with pytest.raises(ValueError, match="The train split has 'class 0', .*, ... and 992 more") as caught:
        load(many, test=["other"])
    assert len(str(caught.value)) < 400
    with pytest.raises(ValueError) as caught:
        load(["a", "b"], test=many)
    assert len(str(caught.value)) < 400
