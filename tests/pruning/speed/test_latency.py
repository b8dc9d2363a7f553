"""Forward passes of two networks are timed by turns; a clock that the test moves stands for the machine's."""

import pytest
import torch
from encoders import tiny_classifier

from hf_midropout.pruning.record.latency_schema import Latency, SpeedupSearch, Tried
from hf_midropout.pruning.speed import latency
from hf_midropout.pruning.speed.latency import measure_latency, milliseconds, random_inputs
from hf_midropout.pruning.speed.search import cut_copy
from hf_midropout.utils.typed_json import from_json, to_json


class Clock:
    """Stands still but while a network computes: then it goes on by the next of that network's seconds."""

    def __init__(self, seconds):
        self.now, self.seconds, self.passes = 0.0, seconds, []

    def __call__(self):
        return self.now

    def watch(self, name, network):
        def passed(module, args, output):
            counted = self.passes.count(name) - latency.WARM_UP
            self.passes.append(name)
            self.now += self.seconds[name](counted)

        network.register_forward_hook(passed)
        return network


def watched(**seconds):
    clock = Clock(seconds)
    networks = {name: clock.watch(name, tiny_classifier("bert")) for name in seconds}
    return clock, networks


def test_medians_of_passes_that_take_turns():
    # The first passes, which warm up, and every third later on take long: none of that is in the median.
    slow = {"dense": 0.020, "pruned": 0.010}
    clock, networks = watched(**{
        name: lambda counted, each=each: 5.0 if counted < 0 or counted % 3 == 2 else each
        for name, each in slow.items()
    })  # fmt: skip
    assert milliseconds(networks, 1, 6, clock) == pytest.approx({"dense": 20.0, "pruned": 10.0})
    counted = clock.passes[2 * latency.WARM_UP :]
    assert counted[:4] == ["dense", "pruned", "pruned", "dense"] and len(counted) == 2 * latency.FEWEST_ROUNDS


def test_many_passes_where_they_are_short():
    clock, networks = watched(dense=lambda _: 0.001)
    assert milliseconds(networks, 1, 6, clock) == pytest.approx({"dense": 1.0})
    assert len(clock.passes) == latency.WARM_UP + latency.MOST_ROUNDS
    clock, networks = watched(dense=lambda _: 0.1)
    milliseconds(networks, 1, 6, clock)
    assert latency.FEWEST_ROUNDS < len(clock.passes) - latency.WARM_UP < latency.MOST_ROUNDS


def test_networks_are_left_as_they_are():
    network = tiny_classifier("bert").train()
    random_numbers = torch.get_rng_state()
    modes = []
    network.register_forward_pre_hook(lambda module, args: modes.append((module.training, torch.is_grad_enabled())))
    milliseconds({"": network}, 1, 6, iter(range(10**6)).__next__)
    assert network.training and set(modes) == {(False, False)}
    assert torch.equal(torch.get_rng_state(), random_numbers)


@pytest.mark.parametrize("kind", ["bert", "roberta", "modernbert"])
def test_rows_have_no_padding_and_no_token_that_a_network_lacks(kind):
    network, trimmed = tiny_classifier(kind), tiny_classifier(kind)
    trimmed.config.vocab_size = 5
    inputs = random_inputs([network, trimmed], 4, 30)
    assert inputs["input_ids"].shape == (4, 30) and inputs["attention_mask"].all()
    assert inputs["input_ids"].max() < 5 and not (inputs["input_ids"] == network.config.pad_token_id).any()
    assert torch.isfinite(network(**inputs).logits).all()


def test_what_is_told_of_it_and_read_again():
    dense = tiny_classifier("bert")
    asked = []

    def measure(networks, batch_size, tokens):
        asked.append((batch_size, tokens))
        neurons = {name: network.config.intermediate_size for name, network in networks.items()}
        return {"dense": float(neurons["dense"] * batch_size), "pruned": 32.0 * batch_size}

    search = SpeedupSearch(wanted=2.0, batch_size=1, tried=[Tried(dense=64.0, pruned=32.0, layers=3, width=32)])
    told = measure_latency(dense, cut_copy(dense, 3, 32), [1, 32, 1], 16, search, measure=measure)
    assert asked == [(1, 16), (32, 16)]
    assert (told.device, told.dtype, told.tokens) == ("cpu", "float32", 16)
    assert told.threads == torch.get_num_threads()
    assert [(each.batch_size, each.dense, each.speedup) for each in told.timings] == [
        (1, 64.0, 2.0),
        (32, 2048.0, 2.0),
    ]
    assert from_json(Latency, to_json(told)) == told
