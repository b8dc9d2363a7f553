import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_midropout.scoring import label_checks
from hf_midropout.scoring.problem_types import check_dataset


def rows(labels, feature=None, name="labels"):
    features = Features({name: feature}) if feature else None
    return Dataset.from_dict({name: labels}, features=features)


@pytest.mark.parametrize(
    ("labels", "feature"),
    [
        ([0, 1, 2, -100], None),
        ([0, 1, 2], Value("uint8")),
        ([0, 1, 2], Value("int16")),
        (["a", "b", "a"], ClassLabel(names=["a", "b"])),
    ],
)
def test_classes_that_are_fine(labels, feature):
    for name in ("labels", "label", "label_ids"):
        check_dataset(rows(labels, feature, name), 3)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["x", "y"], "Column 'labels' holds string.*such as 'x'.*label2id.*class_encode_column"),
        ([True, False], r"holds bool.*cast_column\('labels', datasets.Value\('int64'\)\)"),
        ([0.0, 1.0], "holds float64.*cast_column.*regression"),
        ([0.0, float("nan")], "holds float64.*NaN"),
        ([None, None], "no value in any row"),
        ([0, 1, None], "Row 2 has no label in column 'labels'.*-100"),
        ([[0], [1]], "holds List.*multi_label_classification"),
        ([{"id": 0}, {"id": 1}], "holds dict"),
        ([0, 1, 7, 8], r"Row 2 has the label 7 in column 'labels' \(2 such rows"),
        ([0, -1, 1], "Row 1 has the label -1"),
        ([1, 1, 1], r"holds 1 class\(es\) \[1\]"),
        ([-100, -100], r"holds 0 class\(es\) \[\]"),
        ([], "empty"),
    ],
)
def test_labels_that_are_no_classes(labels, message):
    with pytest.raises(ValueError, match=message):
        check_dataset(rows(labels), 3)


def test_rows_are_named_across_batches_and_selections(monkeypatch):
    monkeypatch.setattr(label_checks, "BATCH_ROWS", 7)
    labels = [index % 3 for index in range(100)]
    check_dataset(rows(labels).shuffle(seed=0), 3)
    wrong = rows(labels[:90] + [9] + labels[91:])
    with pytest.raises(ValueError, match="Row 90 has the label 9"):
        check_dataset(wrong, 3)
    with pytest.raises(ValueError, match="Row 9 has the label 9"):
        check_dataset(wrong.select(range(99, 0, -1)), 3)
    with pytest.raises(ValueError, match="Row 90 has no label"):
        check_dataset(rows(labels[:90] + [None] + labels[91:]), 3)
    targets = [float(index) for index in range(100)]
    check_dataset(rows(targets), 8, "regression")
    with pytest.raises(ValueError, match="rows 84 to 90: 1 of 7 regression targets are NaN"):
        check_dataset(rows(targets[:90] + [float("nan")] + targets[91:]), 8, "regression")
    check_dataset(rows([[0, 1]] * 50 + [[1, 1]] * 50), 2, "multi_label_classification")
    with pytest.raises(ValueError, match="each label is the same in all rows"):
        check_dataset(rows([[0, 1]] * 100), 2, "multi_label_classification")
    with pytest.raises(ValueError, match="rows 49 to 55: 1 label.*such as 5"):
        check_dataset(rows([[0, 1]] * 50 + [[1, 5]] + [[1, 1]] * 49), 2, "multi_label_classification")


def test_columns_are_read_in_batches(monkeypatch):
    """A hundred million labels must not become a list of Python numbers, nor one tensor."""
    monkeypatch.setattr(label_checks, "BATCH_ROWS", 10)
    read = []
    monkeypatch.setattr(label_checks, "check_class_values", lambda values, *_: read.append(len(values)))
    check_dataset(rows([index % 2 for index in range(95)]), 2)
    assert read == [10] * 9 + [5]


def test_rows_that_are_made_when_they_are_read_are_not_judged_by_their_columns():
    raw = Dataset.from_dict({"label": ["x", "y"], "text": ["a", "b"]})
    check_dataset(raw.with_transform(lambda batch: {"labels": [0] * len(batch["text"])}), 2)
    hidden = Dataset.from_dict({"labels": ["x"], "label": [0], "input_ids": [[1]]})
    with pytest.raises(ValueError, match="Column 'labels' holds string"):
        check_dataset(hidden, 2)
    check_dataset(hidden.with_format("torch", columns=["input_ids"]), 2)


def test_lists_and_torch_datasets():
    check_dataset([{"labels": 0}, {"labels": 1}], 2)
    check_dataset([{"labels": torch.tensor(0)}] * 3, 2)  # batch by batch
    with pytest.raises(ValueError, match="Row 1 has the label 5 in 'labels'"):
        check_dataset([{"labels": 0}, {"labels": 5}], 2)
    with pytest.raises(ValueError, match=r"1 class\(es\) \[0\]"):
        check_dataset([{"labels": 0}] * 3, 2)

    class Rows(torch.utils.data.Dataset):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            pytest.fail("a row was read")

    check_dataset(Rows(), 2)


def test_what_is_no_dataset():
    with pytest.raises(ValueError, match="DatasetDict of train, test: give one of these splits"):
        check_dataset(DatasetDict(train=rows([0]), test=rows([0])), 2)
    for wrong in (None, "some/dataset", {"labels": [0, 1]}):
        with pytest.raises(ValueError, match="must be rows"):
            check_dataset(wrong, 2)
