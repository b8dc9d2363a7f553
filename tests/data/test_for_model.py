"""Labels of new data are the classes of a model that is there already."""

import pytest
from datasets import ClassLabel, Value
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.data.for_model import Reading, classes_of_model, load_labelled, load_texts


NAMES = ["money", "sport", "art"]


@given(st.permutations(NAMES), st.lists(st.integers(0, 2), min_size=1), st.booleans())
def test_names_go_before_numbers(order, rows, is_class_label):
    """Whatever the order that the data has the classes in, and whichever of them occur."""
    feature = ClassLabel(names=order) if is_class_label else Value("string")
    notes: list[str] = []
    found = classes_of_model([order[row] for row in rows], feature, "label", NAMES, notes)
    assert [NAMES[number] for number in found] == [order[row] for row in rows] and not notes


@pytest.mark.parametrize(
    ("labels", "feature", "names", "expected"),
    [
        ([2, 0], Value("int64"), NAMES, [2, 0]),
        ([True, False], Value("bool"), NAMES, [1, 0]),
        (["1", "0"], ClassLabel(names=["0", "1", "2"]), NAMES, [1, 0]),
        (["b", "a", "c"], Value("string"), ["LABEL_0", "LABEL_1", "LABEL_2"], [1, 0, 2]),
        (["b"], ClassLabel(names=["c", "b", "a"]), ["LABEL_0", "LABEL_1", "LABEL_2"], [1]),
        ([3, 1], Value("int64"), ["1", "2", "3"], [2, 0]),  # numbers that are names
    ],
)
def test_numbers_and_order(labels, feature, names, expected):
    notes: list[str] = []
    assert classes_of_model(labels, feature, "label", names, notes) == expected
    assert bool(notes) == (names[0] != "1")


@pytest.mark.parametrize(
    ("labels", "feature", "names"),
    [
        (["money", "war"], Value("string"), NAMES),
        ([3], Value("int64"), NAMES),
        (["a", "b"], Value("string"), ["LABEL_0", "LABEL_1", "LABEL_2"]),
    ],
)
def test_labels_that_are_no_classes(labels, feature, names):
    with pytest.raises(ValueError, match="labels that are no classes of the model: .*`label_column`"):
        classes_of_model(labels, feature, "label", names, [])


def write(folder, **files: str):
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return str(folder)


def test_splits(tmp_path):
    rows = "text,label\na,sport\n ,sport\nb,\n"
    name = write(tmp_path, dev=rows, train=rows)
    data = load_labelled(Reading(name), NAMES)
    assert data.splits["validation"][:] == {"text": ["a"], "label": [1]}
    assert data.notes == [
        "validation: the split 'dev'", "validation: 1 row with empty text dropped",
        "validation: 1 row without a label (empty) dropped",
    ]  # fmt: skip
    assert load_texts(Reading(name, "train")) == ([["a", " ", "b"]], "train")
    with pytest.raises(ValueError, match="split='test': the data has train, validation only"):
        load_labelled(Reading(name, "test"), NAMES)
    (tmp_path / "train.csv").unlink()
    assert load_texts(Reading(name))[1] == "validation"  # no training split is needed
    single = str(tmp_path / "dev.csv")
    assert load_labelled(Reading(single), NAMES).splits.keys() == {"all"}
    with pytest.raises(ValueError, match="is a single file; leave the option out"):
        load_texts(Reading(single, "test"))


def test_rows_without_any_label(tmp_path):
    name = write(tmp_path, test="text,label\na,\nb,\n")
    with pytest.raises(ValueError, match="none of its rows has a label in column 'label'"):
        load_labelled(Reading(name), NAMES)
    assert load_texts(Reading(name)) == ([["a", "b"]], "test")
