"""Which rows of a model's inputs are the same, and whether all processes read the same."""

import json

import datasets
import pytest
import torch
from conftest import make_rows
from hypothesis import given
from hypothesis import strategies as st
from processes import run_ranks
from shared_batches_run import see
from torch.utils.data import DataLoader, IterableDataset
from transformers import default_data_collator

from hf_midropout import score_neurons
from hf_midropout.scoring.batches import FixedBatches, LoaderBatches, StreamedBatches
from hf_midropout.scoring.shared_batches import Digest, input_keys, shared_batches


def padded(rows: list[list[int]], length: int, left: bool) -> dict[str, torch.Tensor]:
    """Token ids, token types and mask, `length` tokens long."""
    ids, types, mask = (torch.zeros(len(rows), length, dtype=torch.long) for _ in range(3))
    for row, tokens in enumerate(rows):
        place = slice(length - len(tokens), length) if left else slice(0, len(tokens))
        ids[row, place] = torch.tensor(tokens)
        types[row, place] = torch.arange(len(tokens)) // 2
        mask[row, place] = 1
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}


@given(
    rows=st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=5), min_size=1, max_size=12),
    more=st.integers(0, 4),
    left=st.booleans(),
)
def test_padding_on_either_side_does_not_matter(rows, more, left):
    keys = input_keys(padded(rows, 5, left=False)).tolist()
    assert input_keys(padded(rows, 5 + more, left)).tolist() == keys
    for row, key in zip(rows, keys, strict=True):
        assert [other == row for other in rows] == [other == key for other in keys]


@given(rows=st.integers(1, 30), seed=st.integers(0, 100))
def test_any_inputs_tell_rows_apart(rows, seed):
    """Pixels, embeddings with a mask, numbers, and what is the same for all."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(0, 8, (rows,), generator=generator)
    inputs = {
        "pixel_values": torch.randn(8, 3, 4, 4, generator=generator)[which],
        "inputs_embeds": torch.randn(8, 5, 6, generator=generator)[which],
        "attention_mask": torch.ones(rows, 5, dtype=torch.long),
        "length": torch.full((rows,), 5),
        "return_dict": True,
        "head_mask": None,
    }
    expected = which[:, None] == which
    keys = input_keys(inputs)
    assert torch.equal(keys[:, None] == keys, expected)
    for name in ("pixel_values", "inputs_embeds", "length"):
        changed = inputs[name].clone()
        changed[0] += 1
        others = input_keys({**inputs, name: changed})
        assert others[0] != keys[0] and torch.equal(others[1:], keys[1:])


@pytest.mark.parametrize(
    "other",
    [
        {"images": ["a", "b", "a"]},  # a list: what is in it is not known
        {"patches": torch.zeros(7, 4)},  # of all images together
        {"tree": {"nodes": torch.zeros(3, 2)}},
    ],
)
def test_where_it_is_not_known_what_belongs_to_a_row_none_is_a_copy(other):
    inputs = {"input_ids": torch.ones(3, 4, dtype=torch.long)}
    assert len(input_keys(inputs).unique()) == 1
    assert input_keys({**inputs, **other}) is None
    assert input_keys({}) is None


def test_inputs_of_nothing_have_keys():
    assert input_keys({"input_ids": torch.ones(3, 4), "extra": torch.zeros(3, 0)}).shape == (3,)


def numbered(labels: list[int], batch_size: int = 4, **values) -> FixedBatches:
    rows = datasets.Dataset.from_dict({"input_ids": [[label, 7] for label in labels], "labels": labels, **values})
    return FixedBatches(rows, batch_size, default_data_collator)


def copies_of(batches, problem_type: str) -> int:
    return sum(int(shared.copies.again.sum()) for shared in shared_batches(batches, problem_type))


def test_copies_of_rows_with_any_kind_of_label():
    assert copies_of(numbered([0, 1, 0, 1, 2, 0]), "single_label_classification") == 3
    labels = [0, -100, 0, -100, 2, 0]
    assert copies_of(numbered(labels), "single_label_classification") == 2
    rows = datasets.Dataset.from_dict({"input_ids": [[1, 2]] * 4, "labels": [0.5, 0.5, 0.25, 0.5]})
    assert copies_of(FixedBatches(rows, 2, default_data_collator), "regression") == 2
    rows = datasets.Dataset.from_dict({"input_ids": [[1, 2]] * 4, "labels": [[0.0, 1.0]] * 3 + [[1.0, 1.0]]})
    assert copies_of(FixedBatches(rows, 2, default_data_collator), "multi_label_classification") == 2


class Stream(IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def test_copies_in_streams_and_loaders():
    rows = list(numbered([0, 1, 0, 1, 2, 0]).dataset)
    streamed = StreamedBatches(Stream(rows), 4, default_data_collator)
    loaded = LoaderBatches(DataLoader(rows, 4, collate_fn=default_data_collator))
    for batches in (streamed, loaded):
        for _ in range(2):  # read anew
            assert copies_of(batches, "single_label_classification") == 3


def test_rows_that_are_no_dictionaries_are_counted():
    digest = Digest(("labels",))
    digest.note_items([(1, 2), {"labels": 3}])
    same = Digest(("labels",))
    same.note_items([(5, 6), {"labels": 3}])
    assert (digest.rows, digest.labels) == (2, same.labels)
    same.note_batch({"labels": torch.tensor([1, 2])})
    assert same.rows == 4 and same.labels != digest.labels


@pytest.mark.parametrize("length", [8, 9])
def test_scores_of_repeated_rows_are_those_of_the_rows(tiny_model, length):
    """Given twice, and padded to different lengths, with activations that differ in the last bits."""
    rows = make_rows(160, seed=4)

    def pad(items):
        batch = default_data_collator(items)
        more = length - 8 + len(items) % 2
        return {
            name: value if name == "labels" else torch.nn.functional.pad(value, (0, more))
            for name, value in batch.items()
        }

    def scores(data):
        return score_neurons(tiny_model, data, collate_fn=pad, batch_size=7, progress=False).layers

    once, twice = scores(rows), scores(datasets.concatenate_datasets([rows, rows]))
    for name, layer in once.items():
        assert twice[name].num_samples == 2 * layer.num_samples
        # as close as one row of 160 that the last bits move over the edge of a bin
        assert torch.allclose(twice[name].bits, layer.bits, rtol=0, atol=6e-3)
        assert torch.allclose(twice[name].stderr, layer.stderr, rtol=0.05, atol=2e-3)


CASES = {
    "length": "number of rows: process 0: 40, process 1: 39",
    "order": "labels: process 0",
    "labels": "labels: process 0",
    "labels of lists": "labels: process 0",
    "seed": "order: process 0",
    "max_samples": "max_samples: process 0: 20, process 1: 30",
    "batch size": "rows in a batch: process 0: 4, process 1: 5",
    "torch dataset": "labels: process 0",
    "stream, length": "number of rows: process 0: 40, process 1: 39",
    "stream, many fewer": "number of batches: process 0",
    "stream, labels": "labels: process 0",
    "loader, labels": "labels: process 0",
}


@pytest.fixture(scope="module")
def of_processes(tmp_path_factory) -> dict[int, list[dict]]:
    """What each process has seen, of one and of two, which really are started (gloo on the CPU)."""
    folder = tmp_path_factory.mktemp("processes")
    for number in (1, 2):
        run_ranks(number, folder, see, folder)
    return {
        number: [json.loads((folder / f"{number}_{rank}.json").read_text()) for rank in range(number)]
        for number in (1, 2)
    }


@pytest.mark.parametrize("case", CASES)
def test_processes_that_read_different_data_all_say_so(of_processes, case):
    for process in of_processes[2]:
        message = process["errors"][case]
        assert message.startswith("The processes were given different data (")
        assert CASES[case] in message
        assert "Give each the same dataset in the same order" in message


@pytest.mark.parametrize("case", ["rows", "stream", "loader", "objects"])
def test_two_processes_score_copies_as_one(of_processes, case):
    """To the last bit."""
    (alone,) = of_processes[1]
    assert all(process["scores"][case] == alone["scores"][case] for process in of_processes[2])
