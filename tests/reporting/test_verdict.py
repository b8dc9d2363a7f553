"""What came of a pruning in two sentences, and that noise and chance are called by their names."""

import math

import pytest
from checkpoints import made_up_encoder_report
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.pruning.encoder_schema import Estimate
from hf_midropout.pruning.latency_schema import BatchTiming, Latency
from hf_midropout.reporting.verdict import in_unit, is_chance, is_noise, plus_minus, verdict


def test_what_it_says():
    accuracy, size = verdict(made_up_encoder_report())
    assert accuracy == (
        "Test accuracy 80.0% with 50% of the feed-forward neurons, dense 80.0% (+0.0 ± 0.0 points: no difference "
        "shown on 400 rows); std × norm 79.8% (within noise), weight magnitude 67.5%, random 30.0% (chance), largest "
        "class 33.5%."
    )
    assert size == "22.9 -> 17.5 million parameters, 91.6 -> 70.0 MB (23.6% less)."


def test_a_loss_that_is_shown_and_a_network_at_chance():
    report = made_up_encoder_report()
    report.test, report.encoder.to_dense.accuracy = report.dense_test, Estimate(-0.052, 0.011)
    assert "dense 80.0% (difference -5.2 ± 1.1 points); " in verdict(report)[0]
    report.encoder.to_dense.accuracy = Estimate(-0.052, 0.027)
    assert "(-5.2 ± 2.7 points: no difference shown on 400 rows)" in verdict(report)[0]
    report.encoder.largest_class = 0.78
    assert verdict(report)[0].startswith("Test accuracy 80.0% (chance) with 50% of the")
    report.encoder.neurons_at_first = 256
    assert "with 50% of the feed-forward neurons (25% of those before an earlier pruning), dense" in verdict(report)[0]


def test_without_controls_and_sizes():
    report = made_up_encoder_report(controls=False)
    report.model.bytes_after = None
    assert verdict(report)[0].endswith("on 400 rows); largest class 33.5%.")
    assert verdict(report)[1] == "22.9 -> 17.5 million parameters (23.6% less)."
    report.model.parameters_before = None
    assert verdict(report)[1] == "Sizes are not known."


def test_time_that_was_measured():
    report = made_up_encoder_report()
    timings = [BatchTiming(batch_size=1, dense=19.0, pruned=10.0), BatchTiming(batch_size=32, dense=900, pruned=880)]
    latency = Latency(device="cpu", threads=2, dtype="float32", tokens=128, timings=timings[:1])
    report.encoder.latency = latency
    sizes = "22.9 -> 17.5 million parameters, 91.6 -> 70.0 MB (23.6% less); "
    assert verdict(report)[1] == f"{sizes}1.9 times faster (batch 1, 128 tokens, 2 threads)."
    latency.timings, latency.threads = timings, 1
    assert verdict(report)[1] == (
        f"{sizes}1.9 times faster (batch 1, 128 tokens, 1 thread), not faster, 1.02 times as fast (batch 32)."
    )
    latency.device = "NVIDIA\nH100"
    assert "(batch 1, 128 tokens, NVIDIA H100)" in verdict(report)[1]


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 500))
def test_noise_is_what_mcnemar_s_test_cannot_tell_from_it(lost, gained, others):
    rows = max(lost + gained + others, 1)
    mean = (gained - lost) / rows
    stderr = math.sqrt(max((gained + lost) / rows - mean**2, 0) / rows)
    # |gained - lost| / sqrt(gained + lost) is a standard normal deviate if neither network is better.
    deviate = abs(gained - lost) / math.sqrt(gained + lost) if gained + lost else 0.0
    if abs(deviate - 2) > 1e-9:
        assert is_noise(Estimate(mean, stderr), rows) == (deviate < 2)
    if gained + lost < 4:
        assert is_noise(Estimate(mean, stderr), rows)  # so few rows decide nothing


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 10**6))
def test_chance(accuracy, largest, rows):
    if accuracy <= largest:
        assert is_chance(accuracy, largest, rows)
    if is_chance(accuracy, largest, 4 * rows):  # more rows never make more of it chance
        assert is_chance(accuracy, largest, rows)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (22_944_000, 17_500_000, ("22.9", "17.5", "M")),
        (8_402, 640, ("8.40", "0.640", "k")),
        (512, 500, ("512", "500", "")),
        (175_300_000_000, 99_000_000_000, ("175", "99.0", "G")),
        (10**15, 10**14, ("1,000,000", "100,000", "G")),
        (0, 0, ("0", "0", "")),
    ],
)
def test_sizes_have_three_digits(before, after, said):
    assert in_unit(before, after, ("", "k", "M", "G")) == said


def test_no_minus_before_a_zero():
    assert (
        plus_minus(Estimate(-1e-9, 0.001)) == "+0.0000 ± 0.0010"
        and plus_minus(Estimate(0.5, 0), 100, 1) == "+50.0 ± 0.0"
    )
    assert plus_minus(Estimate(0.019, 0.002), digits=3, sign="-") == "0.019 ± 0.002"
