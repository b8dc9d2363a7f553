"""Generators of random numbers are found wherever people keep them."""

import functools
import random

import numpy as np
import pytest
import torch

from hf_midropout.utils.generators import MAX_ITEMS, generators_of


MODULES_OWN = np.random.default_rng(5)


def draw_from_module():
    return MODULES_OWN.random()


def through_a_helper(items):
    return [draw_from_module() for _ in items]


class OfTheClass:
    generator = random.Random(1)

    def __call__(self, items):
        return items


class ReadsTheModules:
    def __getitem__(self, index):
        return draw_from_module() + index


def holders(generator):
    """What may hold `generator`."""

    class Attribute:
        def __init__(self):
            self.tools = {"noise": [generator]}

    class Method:
        def __init__(self):
            self.generator = generator

        def collate(self, items):
            return items

    def enclosed(items):
        return items, generator

    def default(items, rng=generator):
        return items

    return {
        "itself": generator,
        "attribute, in containers": Attribute(),
        "bound method": Method().collate,
        "closure": enclosed,
        "closure of a closure": lambda items: enclosed(items),
        "default": default,
        "partial": functools.partial(draw_from_module, generator),
        "lambda in a list": [lambda: generator],
    }


KINDS = {
    "numpy": lambda: np.random.default_rng(1),
    "numpy, legacy": lambda: np.random.RandomState(1),
    "python": lambda: random.Random(1),
    "torch": lambda: torch.Generator(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", holders(None))
def test_found(kind, place):
    generator = KINDS[kind]()
    assert any(each is generator for each in generators_of(holders(generator)[place]))


@pytest.mark.parametrize("holder", [draw_from_module, through_a_helper, ReadsTheModules()])
def test_globals_that_functions_name(holder):
    assert generators_of(holder) == [MODULES_OWN]


def test_attributes_of_the_class():
    assert generators_of(OfTheClass()) == [OfTheClass.generator]


def test_each_once_and_in_cycles():
    generator, cycle = random.Random(1), []
    cycle.extend([cycle, generator, generator])
    assert generators_of(cycle, {"again": cycle}, generator) == [generator]


def test_what_is_left_out():
    data = [random.Random(1) for _ in range(MAX_ITEMS + 1)]
    assert generators_of(data, dict(enumerate(data)), random.SystemRandom(), np, random, torch.zeros(3), "text") == []
