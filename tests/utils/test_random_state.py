"""Reading rows for scores leaves every generator of random numbers as it was."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.scoring.batches import FixedBatches, StreamedBatches
from hf_midropout.utils.random_state import preserved_random_state


GENERATORS = {
    "random": lambda: random.Random(1),
    "numpy": lambda: np.random.default_rng(1),
    "numpy, legacy": lambda: np.random.RandomState(1),
    "torch": lambda: torch.Generator().manual_seed(1),
}


def draw(generator) -> float:
    if isinstance(generator, torch.Generator):
        return float(torch.rand(1, generator=generator))
    return float(generator.random())


def draw_globals() -> list[float]:
    return [random.random(), float(np.random.rand()), float(torch.rand(1))]


@given(st.integers(0, 2**40), st.integers(0, 5))
def test_global_generators_go_on_as_before(seed, draws):
    with preserved_random_state(seed=seed):
        first = draw_globals()
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    with preserved_random_state(seed=seed):
        assert draw_globals() == first
        for _ in range(draws):
            draw_globals()
    assert before == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


@pytest.mark.parametrize("kind", GENERATORS)
def test_generators_of_a_dataset_go_on_as_before(kind):
    class Holder:
        def __init__(self):
            self.generator, self.name = GENERATORS[kind](), "rows"

    expected, holder = [draw(generator) for generator in [GENERATORS[kind]()] for _ in range(3)], Holder()
    assert draw(holder.generator) == expected[0]
    with pytest.raises(KeyError), preserved_random_state(holder):
        draw(holder.generator)
        raise KeyError
    assert draw(holder.generator) == expected[1]


class NoisyRows:
    """Rows whose values are drawn when they are read."""

    def __init__(self):
        self.generator = np.random.default_rng(0)

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return {"value": float(np.random.rand()) + index, "labels": index % 2}


class NoisyStream(torch.utils.data.IterableDataset):
    def __iter__(self):
        return iter({"value": random.random() + index, "labels": index % 2} for index in range(10))


def collate(items):
    return {key: torch.tensor([item[key] for item in items]) for key in items[0]}


@pytest.mark.parametrize("make", [lambda: FixedBatches(NoisyRows(), 3, collate, seed=5),
                                  lambda: StreamedBatches(NoisyStream(), 3, collate)])  # fmt: skip
def test_what_a_batch_draws_depends_on_its_number_alone(make):
    alone = {number: batch["value"].tolist() for number, batch in make().of_process(0, 1)}
    assert len(alone) == 4
    draw_globals()
    shared = {}
    for process in (0, 1):
        for number, batch in make().of_process(process, 2):
            if number is not None:
                shared[number] = batch["value"].tolist()
    assert shared == alone
