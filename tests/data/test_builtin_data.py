import os
import subprocess
import sys

import pytest

from hf_midropout.data import builtin as builtin_data
from hf_midropout.data.builtin import AREAS, load_python_docs


@pytest.fixture(scope="module")
def docs():
    return load_python_docs()


def test_splits_columns_and_classes(docs):
    assert list(docs) == ["train", "validation", "test"]
    for split in docs.values():
        assert split.column_names == ["text", "label"]
        assert split.features["text"].dtype == "string"
        assert split.features["label"].names == list(AREAS)
        assert set(split["label"]) == set(range(len(AREAS)))
    assert len(docs["train"]) > 4000
    assert min(len(docs["validation"]), len(docs["test"])) > 300


def test_texts_are_distinct_prose(docs):
    texts = [text.lower() for split in docs.values() for text in split["text"]]
    assert len(texts) == len(set(texts))
    assert all(40 <= len(text) <= 600 for text in texts)
    assert not any(">>>" in text or "\n" in text or "  " in text for text in texts)


def test_one_definition_is_in_one_split(docs):
    # `rows` is what the splits were made from: text, area, definition.
    rows = builtin_data._collect_rows(builtin_data.Path(builtin_data.sysconfig.get_path("stdlib")))
    definition = {text: source for text, _, source in rows}
    sources = {name: {definition[text] for text in split["text"]} for name, split in docs.items()}
    assert not sources["train"] & sources["test"]
    assert not sources["train"] & sources["validation"]
    assert not sources["validation"] & sources["test"]


def test_module_names_do_not_give_the_label_away():
    assert (
        builtin_data._hide_module_name("Each email.Message of email", "email.utils") == "Each module.Message of module"
    )
    assert builtin_data._hide_module_name("The io module, not pyio", "_pyio") == "The module module, not module"


def test_order_depends_on_the_seed_only(docs):
    again, other = load_python_docs(), load_python_docs(seed=7)
    assert again["test"]["text"][:] == docs["test"]["text"][:]
    assert other["test"]["text"][:] != docs["test"]["text"][:]


def test_hash_is_the_same_in_every_process():
    code = "from hf_midropout.data.builtin import _uniform; raise SystemExit(f'{_uniform(42, 1)!r}')"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONHASHSEED": "1"}
    )
    assert float(result.stderr) == builtin_data._uniform(42, 1)


def test_paragraphs_leave_out_code_and_signatures():
    docstring = """foo(a, b) -> int

    Return the number of things in the container, without the others.
    It may be large.

    >>> foo(1, 2)
    3

    x = {1: [2, 3], 4: (5, 6)}; y = [[0] * 10] * 10; z += 1 << 2

    Too short."""
    expected = "Return the number of things in the container, without the others. It may be large."
    assert list(builtin_data._paragraphs(docstring)) == [expected]
    (long,) = builtin_data._paragraphs("several words of text " * 100)
    assert 590 < len(long) <= 600
    assert long.endswith(("several", "words", "of", "text"))


def test_a_text_of_two_areas_is_dropped(tmp_path):
    shared = '"""This sentence is found in the sources of two subject areas."""'
    own = '"""This sentence of some length is found in {} only and stays."""'
    for module in ("queue", "json"):
        (tmp_path / f"{module}.py").write_text(f"{shared}\nclass Foo:\n    {own.format('one of them')}\n")
    (tmp_path / "json.py").write_text(f"{shared}\nif True:\n    class Foo:\n        {own.format('the first')}\n")
    rows = builtin_data._collect_rows(tmp_path)
    assert {(area, source) for _, area, source in rows} == {("concurrency", "queue:Foo"), ("data types", "json:Foo")}


def test_missing_sources(tmp_path, monkeypatch):
    monkeypatch.setattr(builtin_data.sysconfig, "get_path", lambda name: str(tmp_path / "stdlib"))
    with pytest.raises(RuntimeError, match="sources of Python's standard library.*stdlib.*gave 0 paragraphs"):
        load_python_docs()
