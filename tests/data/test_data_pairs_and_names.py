"""Pairs of texts, and names for labels that are integers."""

import pytest
from datasets import ClassLabel, Dataset, Features, Value
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer

from hf_midropout.data.columns import find_columns, find_texts
from hf_midropout.data.datasets import load_text_classification
from hf_midropout.data.for_model import Reading, load_labelled
from hf_midropout.data.labels import LabelEncoder
from hf_midropout.data.targets import load_texts_with_targets
from hf_midropout.models.builtin import train_tokenizer


TEXT, NUMBER = Value("string"), Value("int64")


def write(folder, **columns):
    Dataset.from_dict(columns).to_json(folder / "train.jsonl")
    return str(folder / "train.jsonl")


@pytest.fixture
def pairs(tmp_path):
    premises = [f"a ball {index}" for index in range(40)]
    premises[3] = " "
    hypotheses = [f"goal {index}" for index in range(40)]
    hypotheses[5] = ""
    return write(tmp_path, hypothesis=hypotheses, premise=premises, label=[1, 2] * 20)


def test_pairs_are_read_and_tokenized_as_pairs(pairs):
    data = load_text_classification(pairs, text_column=["premise", "hypothesis"], label_names=["no", "yes"])
    assert data.paired and data.label_names == ["no", "yes"]
    assert "train: 2 rows with empty text dropped" in data.notes
    assert "pairs of texts in the columns 'premise' and 'hypothesis', label in 'label'" in data.notes
    assert "labels are named as told: 1 is no, 2 is yes" in data.notes
    row = data.splits["train"][0]
    number = row["text"].split()[-1]
    assert row == {"text": f"a ball {number}", "text_pair": f"goal {number}", "label": int(number) % 2}
    assert set(data.texts("validation")) == {
        *data.splits["validation"]["text"],
        *data.splits["validation"]["text_pair"],
    }
    tokenizer = train_tokenizer(data.texts("train"), vocab_size=40)
    rows = data.tokenize(tokenizer, 12)["train"]
    expected = tokenizer(row["text"], row["text_pair"], truncation=True, max_length=12)
    assert rows[0] == {**expected, "labels": row["label"]}
    assert rows[0]["input_ids"].count(tokenizer.sep_token_id) == 2
    assert "text" not in rows.column_names and "text_pair" not in rows.column_names
    assert max(map(len, data.tokenize(tokenizer, 7)["train"]["input_ids"])) == 7


def test_token_types_tell_the_texts_apart(pairs):
    data = load_text_classification(pairs, text_column=["premise", "hypothesis"])
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "ball", "goal"]
    tokenizer = BertTokenizer(vocab={word: number for number, word in enumerate(words)})
    row = data.tokenize(tokenizer, 12)["train"][0]
    assert row["token_type_ids"] == [0] * 5 + [1] * 3  # [CLS] a ball 7 [SEP] goal 7 [SEP]


def test_one_column_of_two_is_no_pair(pairs):
    data = load_text_classification(pairs, text_column=["premise"])
    assert not data.paired and data.splits["train"].column_names == ["text", "label"]
    assert load_text_classification(pairs, text_column="premise").splits["train"][:] == data.splits["train"][:]


def test_numbers_about_pairs(tmp_path):
    name = write(tmp_path, sentence1=["a", "", "c"], sentence2=["d", "e", "f"], label=[0.5, 1.0, 2.5])
    options = {"text_column": ["sentence1", "sentence2"]}
    data = load_texts_with_targets(name, "train", "regression", 1, **options)
    assert data.splits["train"][:] == {"text": ["a", "c"], "text_pair": ["d", "f"], "label": [0.5, 2.5]}
    with pytest.raises(ValueError, match=r"label_names=\['a', 'b'\]: must be left out"):
        load_texts_with_targets(name, "train", "regression", 1, label_names=["a", "b"], **options)


def test_numbers_of_a_test_split_alone(tmp_path):
    Dataset.from_dict({"text": ["a", "b"], "label": [0.5, 1.5]}).to_json(tmp_path / "test.jsonl")
    assert load_texts_with_targets(str(tmp_path), "test", "regression", 1).splits["test"]["label"][:] == [0.5, 1.5]


@pytest.mark.parametrize(
    ("columns", "given", "message"),
    [
        (["premise", "hypothesis"], None, r"\(premise, hypothesis\). .*or both for pairs .* order premise hypothesis"),
        (["sentence", "question"], None, "in the order question sentence"),
        (["passage", "question"], None, "in the order question passage"),  # of which only one has the name of a text
        (["a", "b"], ["a", "b", "c"], "are 3 columns; must be one, or two"),
        (["a", "b"], ["a", "a"], "must be in two columns"),
        (["a", "b"], ["a", "c"], "text_column='c' is not a column"),
    ],
)
def test_what_is_said_of_columns(columns, given, message):
    with pytest.raises(ValueError, match=message):
        find_columns(Features({**dict.fromkeys(columns, TEXT), "label": NUMBER}), given)


def test_other_columns_beside_a_text_are_no_pair():
    features = Features({"text": TEXT, "premise": TEXT, "hypothesis": TEXT, "label": NUMBER})
    assert find_columns(features) == (["text"], "label")
    assert find_texts(Features({"text": TEXT, "id": TEXT})) == ["text"]


@given(st.sets(st.integers(0, 9), min_size=2, max_size=6), st.data())
def test_names_follow_the_order_of_the_numbers(present, data):
    labels = data.draw(st.permutations(sorted(present)))
    names = [f"class {number}" for number in sorted(present)]
    encoder = LabelEncoder.fit("label", NUMBER, labels, names)
    if max(present) >= len(present):
        assert [encoder.names[encoder.indices[label]] for label in labels] == [f"class {label}" for label in labels]
    assert encoder.names == names and sorted(encoder.indices.values()) == list(range(len(names)))


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1], ["a", "a"], "'a' occurs twice"),
        ([0, 1], ["a"], "must be two or more"),
        ([0, 1], ["a", " "], "none of them empty"),
        ([0, 1, 2], ["a", "b"], "are 2 names, but column 'label' has 3 labels: 0, 1, 2"),
        ([1, 2], ["a", "b", "c", "d"], None),
        ([3, 7], ["a", "b", "c"], "are 3 names, but column 'label' has 2 labels: 3, 7"),
        (["x", "y"], ["a", "b"], "are for integer labels, but column 'label' has 'x', 'y'"),
    ],
)
def test_names_are_checked(tmp_path, labels, names, message):
    name = write(tmp_path, text=[f"row {index}" for index in range(20 * len(labels))], label=labels * 20)
    if message is None:
        assert load_text_classification(name, label_names=names).label_names == names
        return
    with pytest.raises(ValueError, match=message):
        load_text_classification(name, label_names=names)


def test_names_for_a_class_label_and_for_the_built_in_data(tmp_path):
    features = Features({"text": TEXT, "label": ClassLabel(names=["0", "1"])})
    rows = Dataset.from_dict({"text": ["a", "b"] * 20, "label": [0, 1] * 20}, features=features)
    rows.to_parquet(tmp_path / "train.parquet")
    data = load_text_classification(str(tmp_path), label_names=["no", "yes"])
    assert data.label_names == ["no", "yes"]
    with pytest.raises(ValueError, match="are 3 names, but column 'label' has 2 classes"):
        load_text_classification(str(tmp_path), label_names=["no", "yes", "perhaps"])
    with pytest.raises(ValueError, match="the classes of 'python-docs' have names"):
        load_text_classification(label_names=["no", "yes"])


def test_names_for_a_model_in_another_order(tmp_path):
    name = write(tmp_path, text=["a", "b"], label=[0, 1])
    data = load_labelled(Reading(name, label_names=["yes", "no"]), ["no", "yes"])
    assert data.splits["all"]["label"][:] == [1, 0]
    data = load_labelled(Reading(name, label_names=["yes", "no"]), ["LABEL_0", "LABEL_1"])
    assert data.splits["all"]["label"][:] == [0, 1]
