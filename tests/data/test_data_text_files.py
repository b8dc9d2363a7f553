import codecs

import datasets
import pytest
from datasets import Dataset

from hf_midropout.data.datasets import load_text_classification
from hf_midropout.data.text_files import TextFileOptions


ROWS = [(f"a text, {index}", "ab"[index % 2]) for index in range(40)]


@pytest.fixture(autouse=True)
def dataset_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


def lines(delimiter=";", header="text;label", rows=ROWS, quote=""):
    text = [quote + text + quote + delimiter + label for text, label in rows]
    return "\n".join([*([header] if header else []), *text]) + "\n"


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name="train.csv", encoding="utf-8") -> str:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return str(tmp_path / name)

    return write


def texts(data):
    return sorted(data.splits["train"]["text"][:] + data.splits["validation"]["text"][:])


@pytest.mark.parametrize(
    ("delimiter", "name"), [(";", "train.csv"), ("\t", "train.csv"), ("|", "train.csv"), (",", "train.tsv")]
)
def test_other_delimiters_are_recognised_and_asked_for(write, delimiter, name):
    quote = '"' if delimiter == "," else ""
    path = write(lines(delimiter, f"text{delimiter}label", quote=quote), name)
    with pytest.raises(ValueError, match=r"Give delimiter=") as caught:
        load_text_classification(path)
    given = str(caught.value).rpartition("delimiter=")[2].strip("'.")
    assert TextFileOptions(given).character == delimiter
    assert texts(load_text_classification(path, delimiter=given)) == sorted(text for text, _ in ROWS)


def test_the_only_column_is_named(write):
    path = write("text;label\nsome words;a\nother words;b\n")
    with pytest.raises(ValueError, match="its only column is 'text;label'.* Give delimiter=';'"):
        load_text_classification(path)
    with pytest.raises(ValueError, match="its only column is 'text'.*`delimiter`"):
        load_text_classification(write("text\nwords\n"))


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_other_encodings_are_recognised_and_asked_for(write, encoding):
    rows = [("déjà" + (" “vu”" if encoding == "cp1252" else ""), "ab"[index % 2]) for index in range(40)]
    path = write(lines(",", "text,label", rows), encoding=encoding)
    with pytest.raises(ValueError, match="encoding=") as caught:
        load_text_classification(path)
    given = str(caught.value).split("encoding='")[1].split("'")[0]
    assert codecs.lookup(given).name == codecs.lookup(encoding).name
    assert texts(load_text_classification(path, encoding=given))[0] == rows[0][0]


def test_an_encoding_that_only_a_late_row_needs(write):
    late = lines(",", "text,label", [("x" * 100, "ab"[index % 2]) for index in range(12_000)] + [("é", "a")])
    with pytest.raises(ValueError, match=r"byte 0xe9, which is not UTF-8.*encoding='latin-1'.*reads .*é"):
        load_text_classification(write(late, encoding="latin-1"))


def test_json_in_another_encoding(write):
    content = "\n".join(f'{{"text": "é{index}", "label": {index % 2}}}' for index in range(40))
    path = write(content, "train.jsonl", "latin-1")
    with pytest.raises(ValueError, match="not UTF-8.*`encoding`"):
        load_text_classification(path)
    assert texts(load_text_classification(path, encoding="latin-1"))[0] == "é0"


def test_a_byte_order_mark_is_no_part_of_a_name(write):
    path = write(lines(",", "text,label", quote='"'), encoding="utf-8-sig")
    assert load_text_classification(path).label_names == ["a", "b"]


def test_files_without_a_header(write):
    path = write(lines(",", "", quote='"'))
    with pytest.raises(ValueError, match="no label column.*no header, name its columns with `column_names`"):
        load_text_classification(path)
    data = load_text_classification(path, column_names=["text", "label"])
    assert texts(data) == sorted(text for text, _ in ROWS)
    assert "train: columns named as told; the first row of train.csv is 'a text, 0', 'a'" in data.notes
    with pytest.raises(ValueError, match=r"column_names=.* are 3 names, but .* has 2 values: 'a text, 0', 'a'"):
        load_text_classification(path, column_names=["id", "text", "label"])
    with pytest.raises(ValueError, match="are the first line of .*leave the option out"):
        load_text_classification(write(lines(",", "text,label", quote='"')), column_names=["text", "label"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # pandas would take "a text" for the name of the row, and read " 0" as the text.
        (lines(",", "text,label"), "Expected 2 fields in line 2, saw 3.*in double quotes"),
        ("text,label\na text,a\nanother, text,b\n", "Expected 2 fields in line 3, saw 3.*in double quotes"),
        ("text,label\na text,a,\nanother,b,\n", "Expected 2 fields in line 2, saw 3"),
        ("text,text,label\na,b,c\n", "line 1 names several columns 'text'"),
        ("", "is empty"),
        ("text,label\n", "there are no rows in"),
        (bytes(range(256)) * 4, "NUL bytes"),
    ],
)
def test_files_that_would_be_read_as_something_else(write, content, message):
    with pytest.raises(ValueError, match=message):
        load_text_classification(write(content))


def test_labels_that_turn_from_numbers_to_text_late(write):
    rows = [("words", str(index % 3)) for index in range(10_500)] + [("words", "x")] * 50
    data = load_text_classification(write(lines(",", "text,label", rows)))
    assert data.label_names == ["0", "1", "2", "x"]
    assert any("mixes numbers and text" in note for note in data.notes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"delimiter": ";;"}, "delimiter=';;' must be one character"),
        ({"delimiter": '"'}, "must be one character"),
        ({"encoding": "latin-99"}, "encoding='latin-99' is unknown"),
        ({"column_names": ["text", "text"]}, "all of them different"),
        ({"column_names": ["text"]}, "two or more names"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        load_text_classification("anything", **options)


def test_options_that_do_not_apply(write, tmp_path):
    Dataset.from_dict({"text": ["a"], "label": [0]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="delimiter=';' is for csv and tsv files, and 'train.parquet' is none"):
        load_text_classification(str(tmp_path / "train.parquet"), delimiter=";")
    with pytest.raises(ValueError, match="delimiter=';' is for csv and tsv files, and 'train.jsonl' is none"):
        load_text_classification(write('{"text": "a"}', "train.jsonl"), delimiter=";")
    for name in ("some/dataset", "python-docs", None):
        with pytest.raises(ValueError, match="encoding='latin-1' is for csv, tsv and json files"):
            load_text_classification(name, encoding="latin-1")
