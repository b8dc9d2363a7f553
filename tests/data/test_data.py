import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

from hf_midropout.data import datasets as data_module
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.data.files import RawSplits


SHARED_DATA = Path(os.environ.get("MIDROPOUT_SHARED", "../shared")) / "data"


@pytest.fixture(autouse=True)
def dataset_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def rows(count=20, classes=2, prefix="row"):
    return {"text": [f"{prefix} {i}" for i in range(count)], "label": [i * classes // count for i in range(count)]}


@pytest.fixture
def save(monkeypatch):
    """Makes splits, given as columns or datasets, what is read under the name that it returns."""

    def save(**splits):
        made = {k: v if isinstance(v, Dataset) else Dataset.from_dict(v) for k, v in splits.items()}
        monkeypatch.setattr(data_module, "read_splits", lambda name, subset, options: RawSplits(made))
        return "some/dataset"

    return save


def write_json_lines(path, columns):
    lines = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


# Sources


def test_saved_splits_and_names(tmp_path):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    train, test = (Dataset.from_dict(rows(prefix=name), features=features) for name in ("train", "test"))
    name = str(tmp_path / "saved")
    DatasetDict(train=train, dev=test, test=test, unsupervised=test).save_to_disk(name)
    data = load_text_classification(name)
    assert (data.name, data.source) == (name, "local")
    assert list(data.splits) == ["train", "validation", "test"]
    assert data.label_names == ["bad", "good"] == data.splits["test"].features["label"].names
    assert data.splits["train"].features["text"].dtype == "string"
    assert data.splits["train"][0] == {"text": "train 0", "label": 0}
    assert data.notes == ["validation: the split 'dev'", "unsupervised: ignored, 20 rows"]


def test_saved_single_dataset_is_train(tmp_path):
    Dataset.from_dict(rows()).save_to_disk(str(tmp_path / "one"))
    data = load_text_classification(str(tmp_path / "one"))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 18, "validation": 2}
    assert "train: all rows of the saved dataset" in data.notes[0]


def test_folder_of_files(tmp_path):
    Dataset.from_dict(rows(prefix="first")).to_parquet(str(tmp_path / "train-00000-of-00002.parquet"))
    Dataset.from_dict(rows(prefix="second")).to_parquet(str(tmp_path / "train-00001-of-00002.parquet"))
    Dataset.from_dict(rows(prefix="other")).to_parquet(str(tmp_path / "train_desc_only.parquet"))
    # Texts that pandas takes for missing values by default, and columns in another order.
    (tmp_path / "valid.tsv").write_text("label\ttext\n0\tNone\n1\tNA\n1\t\n")
    write_json_lines(tmp_path / "test.jsonl", rows(4))
    data = load_text_classification(str(tmp_path))
    assert len(data.splits["train"]) == 40
    assert not any(text.startswith("other") for text in data.splits["train"]["text"])
    assert data.splits["validation"][:] == {"text": ["None", "NA"], "label": [0, 1]}
    assert data.splits["test"]["text"][:] == ["row 0", "row 1", "row 2", "row 3"]
    notes = "\n".join(data.notes)
    assert "train_desc_only.parquet: ignored" in notes
    assert "train: read from 2 files" in notes
    assert "validation: 1 row with empty text dropped" in notes


def test_data_subfolder_and_single_file(tmp_path):
    (tmp_path / "data").mkdir()
    path = tmp_path / "data" / "train.csv"
    path.write_text("text,label\n" + "".join(f'"row, {i}",{"ab"[i % 2]}\n' for i in range(20)))
    folder, file = load_text_classification(str(tmp_path)), load_text_classification(str(path))
    assert folder.label_names == file.label_names == ["a", "b"]
    assert folder.splits["train"][:] == file.splits["train"][:]
    assert "single file train.csv" in file.notes[0]


def test_a_folder_for_each_split(tmp_path):
    """As `datasets` and the Hub take them, too."""
    for path in ("data/train/0.csv", "data/train/1.csv", "data/Test/rows.csv", "data/train_old/0.csv"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("text,label\n" + "".join(f"{path} {i},{'ab'[i % 2]}\n" for i in range(20)))
    (tmp_path / "data" / "validation").mkdir()  # of something else
    (tmp_path / "data" / "validation" / "notes.txt").touch()
    data = load_text_classification(str(tmp_path))
    assert {name: len(rows) for name, rows in data.splits.items()} == {"train": 36, "validation": 4, "test": 20}
    assert not any("train_old" in text for text in data.texts("train"))
    assert "train: read from 2 files (0.csv, 1.csv)" in data.notes
    (tmp_path / "data" / "test.csv").write_text("text,label\na,a\n")
    with pytest.raises(ValueError, match=r"Split 'test' is twice in .*: test.csv, and the folder Test \(rows.csv\)"):
        load_text_classification(str(tmp_path))


def test_builtin(monkeypatch):
    features = Features({"text": Value("string"), "label": ClassLabel(names=["x", "y"])})
    docs = DatasetDict({name: Dataset.from_dict(rows(), features=features) for name in ("train", "validation")})
    monkeypatch.setattr(data_module, "load_python_docs", lambda: docs)
    for name in (None, "python-docs"):
        data = load_text_classification(name, seed=3)
        assert (data.name, data.source) == ("python-docs", "builtin")
        assert data.label_names == ["x", "y"]
        assert "standard library of Python" in data.notes[0]


def test_unknown_name(monkeypatch):
    def fail(name, subset):
        raise ConnectionError(f"Couldn't reach {name}")

    monkeypatch.setattr(datasets, "load_dataset", fail)
    with pytest.raises(ValueError, match="'no/such' .subset 'x'.*local folder.*Hub.*python-docs.*reach") as caught:
        load_text_classification("no/such", subset="x")
    assert isinstance(caught.value.__cause__, ConnectionError)


def test_hub_dataset(monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", lambda name, subset: DatasetDict(train=Dataset.from_dict(rows())))
    data = load_text_classification("some/dataset", subset="x")
    assert len(data.splits["train"]) == 18 and data.source == "hub"


def test_a_local_path_that_looks_like_an_id_is_local(tmp_path, monkeypatch):
    """So that no report or card turns `data/reviews` into a link to a stranger's repository."""
    monkeypatch.chdir(tmp_path)
    Path("data/reviews").mkdir(parents=True)
    Dataset.from_dict(rows()).to_csv("data/reviews/train.csv")
    assert load_text_classification("data/reviews").source == "local"
    assert load_text_classification("data/reviews/train.csv").source == "local"
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: pytest.fail("the Hub was asked"))
    with pytest.raises(ValueError, match="no file or folder 'data/revews'. Near names in its folder: reviews"):
        load_text_classification("data/revews")


def broken_parquet(folder):
    Dataset.from_dict(rows(2000)).to_parquet(folder / "train.parquet")
    content = (folder / "train.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(content[: len(content) // 2])


def repeated_column(folder):
    table = pa.table([pa.array(["a"]), pa.array(["b"]), pa.array([0])], names=["text", "text", "label"])
    pq.write_table(table, folder / "train.parquet")


def saved_without_a_file(folder):
    DatasetDict(train=Dataset.from_dict(rows())).save_to_disk(folder)
    next(folder.glob("train/*.arrow")).unlink()


def saved_with_broken_json(folder):
    DatasetDict(train=Dataset.from_dict(rows())).save_to_disk(folder)
    (folder / "train" / "state.json").write_text("{")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (broken_parquet, "train.parquet cannot be read as parquet: ArrowInvalid"),
        (repeated_column, "several of its columns have the same name .*text"),
        (saved_without_a_file, "`save_to_disk` folder .* cannot be read: FileNotFoundError"),
        (saved_with_broken_json, "`save_to_disk` folder .* cannot be read: JSONDecodeError"),
    ],
)
def test_broken_data(tmp_path, make, message):
    make(tmp_path)
    with pytest.raises(ValueError, match=message) as caught:
        load_text_classification(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_columns_of_nothing_and_of_images(save):
    with pytest.raises(ValueError, match="all of its 2 rows have an empty text in 'text'"):
        load_text_classification(save(train={"text": [None, None], "label": [0, 1]}))
    with pytest.raises(ValueError, match="Found no text column.*text .binary."):
        load_text_classification(save(train={"text": [b"a", b"b"], "label": [0, 1]}))
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=["a", "b"])})
    images = Dataset.from_dict({"image": [None, None], "label": [0, 1]}, features=features)
    with pytest.raises(ValueError, match="text column 'image' must hold strings, but its type is Image"):
        load_text_classification(save(train=images), text_column="image")


def test_odd_characters_stay(save):
    columns = {"text": ["a\0b", "😀" * 5, "\u202e", "x" * 100_000] * 5, "label": [0, 1] * 10}
    data = load_text_classification(save(train=columns, validation=columns))
    assert data.splits["train"]["text"][:] == columns["text"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "No split was found.*Data files in it: none"),
        ({"train_extra.csv": ""}, "No split was found.*Data files in it: train_extra.csv"),
        ({"test.csv": "text,label\na,0\n"}, "no 'train' split. Its splits are: 'test'"),
        ({"train.csv": "text,label\na,0\n", "train.json": "{}"}, "different formats .*csv, .json"),
        ({"train.parquet": "not parquet"}, "train.parquet cannot be read as parquet"),
    ],
)
def test_unusable_folders(tmp_path, files, message):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        load_text_classification(str(tmp_path))


def test_unusable_paths_and_subsets(tmp_path):
    (tmp_path / "train.xlsx").write_text("")
    with pytest.raises(ValueError, match="suffix '.xlsx'; allowed are .parquet"):
        load_text_classification(str(tmp_path / "train.xlsx"))
    with pytest.raises(ValueError, match="subset='x' is for Hub datasets"):
        load_text_classification(str(tmp_path), subset="x")
    with pytest.raises(ValueError, match="subset='x' is for Hub datasets"):
        load_text_classification(subset="x")


# Columns


def test_columns_by_usual_name_type_or_request(save):
    name = save(train={"id": ["a"] * 20, "Sentence": rows()["text"], "category": rows()["label"]})
    data = load_text_classification(name)
    assert data.splits["train"].column_names == ["text", "label"]
    assert "text is the column 'Sentence', label the column 'category'" in data.notes
    name = save(train={"utt": rows()["text"], "other": rows()["text"], "y": rows()["label"]})
    data = load_text_classification(name, text_column="utt", label_column="y")
    assert data.splits["train"]["text"][0].startswith("row")


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        (
            {"text": ["a"], "content": ["b"], "label": [0]},
            {},
            r"several .*text, content.*`text_column`.*content \(str",
        ),
        ({"q1": ["a"], "q2": ["b"], "label": [0]}, {}, "several columns could be the text.*q1, q2"),
        ({"n": [1], "label": [0]}, {}, "no text column.*`text_column`.*n .int64., label"),
        ({"text": ["a"], "n": [0]}, {}, "no label column.*`label_column`.*text .string., n"),
        ({"text": ["a"], "label": [0], "class": [1]}, {}, "several.*label, class.*`label_column`"),
        ({"text": ["a"], "label": [0]}, {"text_column": "x"}, "text_column='x' is not a column.*text .string., label"),
        ({"text": ["a"], "label": [0]}, {"label_column": "x"}, "label_column='x' is not a column"),
        ({"text": ["a"], "label": [0]}, {"text_column": "label", "label_column": "label"}, "both 'label'"),
        ({"text": ["a"], "n": [0], "label": [0]}, {"text_column": "n"}, "'n' must hold strings.*int64"),
    ],
)
def test_column_errors(save, columns, options, message):
    with pytest.raises(ValueError, match=message):
        load_text_classification(save(train=columns), **options)


# Labels


@pytest.mark.parametrize(
    ("labels", "names", "indices"),
    [
        ([1, 2, 5], ["1", "2", "5"], [0, 1, 2]),
        (["b", "a", "c"], ["a", "b", "c"], [1, 0, 2]),
        ([True, False, True], ["False", "True"], [1, 0, 1]),
        ([2, 1, 0], ["0", "1", "2"], [2, 1, 0]),
    ],
)
def test_label_kinds(save, labels, names, indices):
    columns = {"text": ["x", "y", "z"], "label": labels}
    data = load_text_classification(save(train=columns, validation=columns))
    assert data.label_names == names
    assert data.splits["validation"]["label"][:] == indices
    mapped = "labels 1, 2, 5 are mapped to 0, 1, 2; their names are the original values"
    assert data.notes == ([mapped] if labels == [1, 2, 5] else [])


def test_class_label_names_are_matched_across_splits(save):
    def split(names):
        return Dataset.from_dict(
            rows(4), features=Features({"text": Value("string"), "label": ClassLabel(names=names)})
        )

    data = load_text_classification(save(train=split(["a", "b"]), validation=split(["b", "a"])))
    assert data.splits["validation"]["label"][:] == [1, 1, 0, 0]


def test_splits_without_labels_are_left_out(save):
    hidden = {"text": ["x", "y"], "label": [-1, -1]}
    data = load_text_classification(save(train=rows(), test=hidden, validation={"text": ["x", "y"]}))
    assert list(data.splits) == ["train", "validation"]
    assert "test: left out, all of its labels are -1" in data.notes
    assert "validation: left out, it has no column 'label'" in data.notes
    with pytest.raises(ValueError, match="Split 'train' cannot be used: all of its labels are -1"):
        load_text_classification(save(train=hidden))


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ([0, 1], [0, 2], r"'test' has labels .* train split does not have: 2 \(1 row\).*has 0, 1"),
        (["a", "b"], ["a", "c"], r"does not have: 'c' \(1 row\).*has 'a', 'b'"),
        ([0, 1], [0, -1], r"'test' has negative labels .*-1 \(1 row\) of 2.*may .*be a class.*recode"),
        ([0, 1], [0, -2], r"'test' has negative labels .*-2 \(1 row\) of 2"),
        ([0.5, 1.0], [0.5, 1.5], r"not whole .float64.: 0.5 \(1 row\). Regression is not supported"),
        ([0.0, float("inf")], [0.0, 1.0], "not whole .float64.: inf"),
        ([3, 3], [3, 3], "All 2 training rows have the label 3 .*at least two classes"),
        ([0, None], [0, 1], "All 1 training rows have the label 0"),
        ([[0], [1]], [[0], [1]], "type List; .*multi-label classification is not supported"),
    ],
)
def test_label_errors(save, train, test, message):
    splits = {name: {"text": ["x", "y"], "label": labels} for name, labels in (("train", train), ("test", test))}
    with pytest.raises(ValueError, match=message):
        load_text_classification(save(**splits))


def test_class_label_out_of_range(save):
    plain = Dataset.from_dict({"text": ["x", "y", "z"], "label": [0, 1, 7]})
    features = Features({"text": Value("string"), "label": ClassLabel(names=["a", "b"])})
    bad = Dataset(plain.data, info=datasets.DatasetInfo(features=features))
    with pytest.raises(ValueError, match=r"out of the range 0..1 of its 2 classes: 7 \(1 row\)"):
        load_text_classification(save(train=bad))


# Rows and splits


def test_empty_texts_are_dropped(save):
    columns = rows()
    columns["text"][:3] = ["", None, " \n"]
    data = load_text_classification(save(train=columns, validation=rows(4)))
    assert len(data.splits["train"]) == 17
    assert data.notes == ["train: 3 rows with empty text dropped"]


def test_empty_splits(save, tmp_path):
    empty = Dataset.from_dict(rows()).select([])
    DatasetDict(train=Dataset.from_dict(rows()), test=empty).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(ValueError, match="Split 'test' is empty"):
        load_text_classification(str(tmp_path / "saved"))
    (tmp_path / "train.csv").write_text("text,label\n")
    with pytest.raises(ValueError, match="Split 'train' is empty: there are no rows in .*train.csv"):
        load_text_classification(str(tmp_path / "train.csv"))
    with pytest.raises(ValueError, match="Split 'test' is empty"):
        load_text_classification(save(train=rows(), test=empty))
    with pytest.raises(ValueError, match="Split 'test' is empty: all of its 2 rows have an empty text in 'text'"):
        load_text_classification(save(train=rows(), test={"text": [" ", None], "label": [0, 1]}))


def test_validation_is_stratified_and_seeded(save):
    name = save(train=rows(100, classes=4))
    data = load_text_classification(name, validation_fraction=0.2)
    assert [data.splits["validation"]["label"][:].count(label) for label in range(4)] == [5, 5, 5, 5]
    assert data.notes == ["validation: 20 rows cut from train (stratified, seed 42)"]
    texts = data.splits["validation"]["text"][:]
    assert not set(texts) & set(data.splits["train"]["text"])
    assert load_text_classification(name, validation_fraction=0.2).splits["validation"]["text"][:] == texts
    assert load_text_classification(name, validation_fraction=0.2, seed=1).splits["validation"]["text"][:] != texts


def test_single_rows_of_a_class_stay_in_train(save):
    columns = rows(20)
    columns["label"][0] = 2
    data = load_text_classification(save(train=columns))
    assert data.splits["train"]["label"][:].count(2) == 1
    assert len(data.splits["validation"]) == 2
    assert "1 row of classes with one row stayed in train" in data.notes[-1]


def test_validation_that_cannot_be_cut(save):
    with pytest.raises(ValueError, match="validation_fraction=0.1 would cut 1 row from the 10 training rows of the 5"):
        load_text_classification(save(train=rows(10, classes=5)))


def test_max_rows_are_drawn_at_random(save):
    name = save(train=rows(100), validation=rows(50), test=rows(5))
    data = load_text_classification(name, max_train_samples=40, max_eval_samples=10)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 40, "validation": 10, "test": 5}
    assert 10 < sum(data.splits["train"]["label"]) < 30  # the file is sorted by label
    assert data.notes == [
        "train: 40 of 100 rows drawn at random (seed 42)",
        "validation: 10 of 50 rows drawn at random (seed 42)",
    ]


def test_max_train_samples_that_leave_one_class(save):
    columns = rows(200)
    columns["label"] = [0] * 198 + [1, 1]
    with pytest.raises(ValueError, match="max_train_samples=2 only the class '0' is left"):
        load_text_classification(save(train=columns, validation=rows(4)), max_train_samples=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation_fraction": 0.0}, "validation_fraction=0.0 must be greater than 0 and less than 1"),
        ({"validation_fraction": 1}, "validation_fraction=1 must be greater than 0 and less than 1"),
        ({"max_train_samples": 0}, "max_train_samples=0 must be at least 2"),
        ({"max_eval_samples": -5}, "max_eval_samples=-5 must be at least 1"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        load_text_classification(**options)


@pytest.mark.skipif(not (SHARED_DATA / "ag_news").is_dir(), reason=f"no AG News in {SHARED_DATA}")
@pytest.mark.slow
def test_ag_news():
    data = load_text_classification(str(SHARED_DATA / "ag_news"), max_eval_samples=1000)
    # 38,386 training rows, 3,839 of which are for validation.
    assert {name: len(split) for name, split in data.splits.items()} == {
        "train": 34_547,
        "validation": 1000,
        "test": 1000,
    }
    assert data.label_names == ["0", "1", "2", "3"]
    assert "train_desc_only.parquet: ignored" in data.notes[0]
    assert "validation: 3,839 rows cut from train (stratified, seed 42)" in data.notes
