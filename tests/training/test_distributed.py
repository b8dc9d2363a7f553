"""Invariants 2 and 3, in processes that really are started (gloo on the CPU)."""

import json

import pytest
from distributed_run import see
from processes import run_ranks


PROCESSES = [pytest.param((1, 2), id="1, 2"), pytest.param((1, 2, 4), id="1, 2, 4", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=PROCESSES)
def results(request, tmp_path_factory) -> dict[int, list[dict]]:
    """What each process saw, by number of processes."""
    folder = tmp_path_factory.mktemp("distributed")
    for number in request.param:
        run_ranks(number, folder, see, folder)
    return {
        number: [json.loads((folder / f"{number}_{rank}.json").read_text()) for rank in range(number)]
        for number in request.param
    }


@pytest.mark.parametrize("case", ["all rows", "stream", "few rows"])
def test_scores_do_not_depend_on_the_number_of_processes(results, case):
    seen = {(rank[case]["digest"], rank[case]["samples"]) for ranks in results.values() for rank in ranks}
    assert len(seen) == 1


FROZEN = ["frozen, keep", "frozen, search", "three evaluation rows", "frozen encoder"]


@pytest.mark.parametrize("case", FROZEN)
def test_neither_do_masks(results, case):
    ranks = [rank[case] for ranks in results.values() for rank in ranks if case in rank]
    assert all(rank["refused"] is None for rank in ranks)
    assert all(rank["masks"] == ranks[0]["masks"] for rank in ranks)
    assert not all(all(mask) for mask in ranks[0]["masks"])


@pytest.mark.parametrize("case", [*FROZEN, "learning", "learning encoder"])
def test_masks_and_weights_are_equal_on_all_ranks(results, case):
    for ranks in results.values():
        for rank in ranks[1:] if case in ranks[0] else ():
            for what in ("masks", "weights", "eval_loss", "validation"):
                assert rank[case][what] == ranks[0][case][what], what


def test_three_evaluation_rows_count_once_each(results):
    """By the Trainer's own evaluation in one process; in several its mean of means weighs rows unequally."""
    (alone,) = [rank["three evaluation rows"] for rank in results[1]]
    for number in (1, 2):
        for rank in results[number]:
            validation = rank["three evaluation rows"]["validation"]
            assert validation["rows"] == 3
            assert validation["before_pruning"] == pytest.approx(alone["validation"]["before_pruning"], abs=1e-6)
            assert validation["after_retraining"]["accuracy"] == alone["validation"]["after_retraining"]["accuracy"]
            assert validation["after_retraining"]["loss"] == pytest.approx(alone["eval_loss"], abs=1e-5)


def test_one_reduction_of_counts_and_its_bytes(results):
    assert all(rank["all rows"]["bytes"] == 0 for rank in results[1])
    counted = {rank["all rows"]["bytes"] for number in results if number > 1 for rank in results[number]}
    assert len(counted) == 1 and counted.pop() > 26 * 3 * 4


def test_all_processes_hear_the_same(results):
    for ranks in results.values():
        for rank in ranks if len(ranks) > 1 else ():
            assert rank["told"]["content"] == {"text": "ä", "number": 0.1} and rank["told"]["tensors"]
            assert rank["told"]["value"] == [True, "threshold=2: too high"]
            assert rank["told"]["other"] == [False, "'a layer'"]
