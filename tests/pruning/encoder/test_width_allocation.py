import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.groups import PrunableGroup, Rows
from hf_midropout.pruning.encoder.width_allocation import allocate, width_for, width_multiple


def group(name: str, units: int, calls: int = 1) -> PrunableGroup:
    return PrunableGroup(name, (Rows("producer"),), "consumer", units, num_calls=calls)


@pytest.mark.parametrize(
    ("keep", "units", "width"), [(0.25, 1536, 384), (0.5, 64, 32), (0.01, 1536, 32), (0.3, 20, 6), (0.99, 64, 64)]
)
def test_widths_are_multiples_of_32(keep, units, width):
    assert width_for(keep, units) == width


def test_neurons_go_where_they_carry_more():
    values = {"first": torch.arange(64.0), "second": torch.arange(64.0) / 100}
    groups = {name: group(name, 64) for name in values}
    assert allocate(values, groups, {"first": 32, "second": 32}) == {"first": 60, "second": 4}
    assert allocate({"first": values["first"], "second": values["first"]}, groups, {"first": 32, "second": 32}) == {
        "first": 32,
        "second": 32,
    }


def test_what_is_applied_twice_costs_twice():
    values = {"shared": torch.ones(64), "single": torch.zeros(64)}
    groups = {"shared": group("shared", 64, calls=2), "single": group("single", 64)}
    # 48 applications: 4 for the one block that `single` keeps, and 44 for 22 neurons, whole blocks of which are 20.
    assert allocate(values, groups, {"shared": 16, "single": 16}) == {"shared": 20, "single": 4}


layers = st.lists(st.tuples(st.integers(1, 100), st.integers(1, 3), st.integers(0, 2**31)), min_size=1, max_size=5)


@given(layers=layers, keep=st.floats(0.01, 0.99))
def test_never_more_multiplications_and_the_most_important_blocks(layers, keep):
    groups, values = {}, {}
    for number, (units, calls, seed) in enumerate(layers):
        groups[str(number)] = group(str(number), units, calls)
        values[str(number)] = torch.rand(units, generator=torch.Generator().manual_seed(seed)).double()
    even = {name: width_for(keep, each.num_units) for name, each in groups.items()}
    widths = allocate(values, groups, even)
    cost = {name: groups[name].num_calls * width for name, width in widths.items()}
    assert sum(cost.values()) <= sum(groups[name].num_calls * width for name, width in even.items())
    means = {name: each.sort(descending=True).values for name, each in values.items()}
    for name, width in widths.items():
        size = width_multiple(groups[name].num_units)
        assert width == groups[name].num_units or (width >= size and width % size == 0)
        # No block that was kept, but for the first of a layer, matters less than one that was not and costs as much.
        for other, its in widths.items():
            more = width_multiple(groups[other].num_units)
            same = more * groups[other].num_calls <= (width - 1) % size + 1 * groups[name].num_calls
            if width > size and its < groups[other].num_units and same:
                last = means[name][(width - 1) // size * size : width].mean()
                assert last >= means[other][its : its + more].mean() - 1e-12
