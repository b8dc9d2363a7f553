"""Which rows `hf-midropout prune` measures, searches and compares on."""

import pytest
from datasets import Dataset, DatasetDict

from hf_midropout.commands.prune.arguments import PruneArguments
from hf_midropout.commands.prune.rows import draw_rows
from hf_midropout.data.datasets import TextClassificationData


def data(**rows) -> TextClassificationData:
    splits = {split: Dataset.from_dict({"text": [f"{split} {row}" for row in range(n)]}) for split, n in rows.items()}
    return TextClassificationData("texts", DatasetDict(splits), ["money", "sport"])


def options(**given) -> PruneArguments:
    return PruneArguments(checkpoint="bert", output_dir="small", **given)


def texts(drawn) -> dict[str, set[str]]:
    return {use: set(rows["text"]) for use, rows in drawn.items()}


def test_splits_of_their_own_are_drawn_from_as_asked():
    found = data(train=300, validation=90, test=50)
    drawn = texts(draw_rows(options(max_samples=200, max_eval_samples=60, keep="auto"), found))
    assert {use: len(rows) for use, rows in drawn.items()} == {"compared": 50, "searched": 60, "measured": 200}
    assert {use: {text.split()[0] for text in rows} for use, rows in drawn.items()} == {
        "compared": {"test"}, "searched": {"validation"}, "measured": {"train"},
    }  # fmt: skip
    assert found.notes == []


@pytest.mark.parametrize(
    ("splits", "given", "counts", "note"),
    [
        ({"test": 500}, {"split": "test", "max_samples": 120}, {"compared": 380, "measured": 120},
         "test: 380 rows to compare on, 120 others to measure on, drawn at random (seed 0)"),
        ({}, {"split": "validation"}, {"compared": 150, "measured": 150},
         "validation: 150 rows to compare on, 150 others to measure on, drawn at random (seed 0)"),
        ({}, {"keep": "auto", "max_samples": 400}, {"compared": 150, "searched": 150, "measured": 400},
         "validation: 150 rows to compare on, 150 others to find the width on, drawn at random (seed 0)"),
        ({}, {"keep": "auto", "split": "validation"}, {"compared": 100, "searched": 100, "measured": 100},
         "validation: 100 rows to compare on, 100 others to find the width on, 100 others to measure on, drawn at "
         "random (seed 0)"),
    ],
)  # fmt: skip
def test_one_split_for_several_uses_is_parted(splits, given, counts, note):
    found = data(train=500, validation=300, **splits)
    drawn = draw_rows(options(**given), found)
    assert {use: len(rows) for use, rows in drawn.items()} == counts
    assert len(set.union(*texts(drawn).values())) == sum(counts.values())
    assert found.notes == [note]


def test_rows_to_compare_on_do_not_depend_on_where_neurons_are_measured():
    drawn = [
        texts(draw_rows(options(split=split, max_samples=100, max_eval_samples=100), data(train=500, test=300)))
        for split in ("train", "test")
    ]
    assert drawn[0]["compared"] == drawn[1]["compared"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"split": "validation"},
         "--split validation: the validation split has 199 rows to compare on and to measure on, which takes "
         "different rows: must be 200 or more; or give another --split."),
        ({"keep": "auto"},
         "--keep auto: the validation split has 199 rows to compare on and to find the width on, which takes "
         "different rows: must be 200 or more; or give a number for --keep."),
        ({"split": "test"}, "--split test: the data has train, validation only."),
    ],
)  # fmt: skip
def test_too_few_rows_are_refused(given, message):
    with pytest.raises(ValueError) as error:
        draw_rows(options(**given), data(train=500, validation=199))
    assert str(error.value) == message
