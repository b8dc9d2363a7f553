"""What came of a pruning in two sentences, and that noise and chance are called by their names."""

import json
import math
from dataclasses import replace

import pytest
from checkpoints import made_up_encoder_report
from hypothesis import given
from hypothesis import strategies as st

from hf_midropout.pruning.record.encoder_schema import Estimate
from hf_midropout.pruning.record.latency_schema import BatchTiming, Latency
from hf_midropout.pruning.record.schema import Baselines, Metrics, Sweep, SweepRow
from hf_midropout.reporting.encoder_facts import also_done
from hf_midropout.reporting.report import Beside, Report
from hf_midropout.reporting.verdict import in_unit, is_chance, is_noise, p_value, plus_minus, verdict


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


def test_a_file_that_is_smaller_for_its_dtype_too_has_a_percentage_of_its_own():
    report = made_up_encoder_report(controls=False)
    report.model.bytes_before, report.model.bytes_after = 91_600_000, 35_000_000
    assert "22.9 -> 17.5 million parameters (23.6% less), 91.6 -> 35.0 MB (61.8% less)" in verdict(report)[1]
    report.model.bytes_after = 140_000_000
    assert "22.9 -> 17.5 million parameters (23.6% less), 91.6 -> 140 MB (52.8% more)" in verdict(report)[1]


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


def report_of_training(folder):
    """The made-up one, with the controls of a search that was none."""
    report = Report.load(folder)
    report.beside = Beside(largest_class=0.3)
    return report


def test_a_training_beside_a_dense_one(folder):
    report = report_of_training(folder)
    report.dense_test = replace(report.test, accuracy=0.8)
    report.beside.to_dense = Estimate(-0.05, 0.05)
    latency = Latency(device="cpu", threads=1, dtype="float32", tokens=64)
    latency.timings = [BatchTiming(batch_size=1, dense=2.0, pruned=1.0)]
    report.beside.latency = latency
    accuracy, size = verdict(report)
    assert accuracy == (
        "Test accuracy 75.0% with 50% of the neurons of the head, dense 80.0% (-5.0 ± 5.0 points: no difference shown "
        "on 40 rows); largest class 30.0%."
    )
    assert "2.0 times faster (batch 1, 64 tokens, 1 thread). No control was measured" in size
    report.beside.to_dense = Estimate(-0.05, 0.01)
    assert "dense 80.0% (difference -5.0 ± 1.0 points);" in verdict(report)[0]
    report.beside.to_dense = None  # compared with a run whose rows are not known: a wider error, and said so
    assert "(-5.0 ± 9.3 points: no difference shown on 40 rows, not paired)" in verdict(report)[0]
    report.beside.largest_class = 0.7
    assert verdict(report)[0].startswith("Test accuracy 75.0% (chance) with")


def test_a_training_without_one_says_so(folder):
    report = report_of_training(folder)
    accuracy, size = verdict(report)
    assert "; no dense training of the same seed to compare with (--compare dense gives one); largest" in accuracy
    assert "speed was not measured" in size
    for layer in report.pruning.layers:
        layer.kept = layer.neurons
    accuracy, size = verdict(report)
    assert accuracy.startswith("Test accuracy 75.0% with all neurons; none was dropped;") and "speed" not in size


def test_controls_of_a_training_and_their_noise(folder):
    report = report_of_training(folder)
    report.pruning.pruning_steps[0].baselines = Baselines(
        {"random": Metrics(accuracy=0.5, accuracy_std=0.1), "magnitude": Metrics(accuracy=0.7),
         "mutual_information": Metrics(accuracy=0.71)}, rows=900,
    )  # fmt: skip
    assert verdict(report)[1].endswith(
        "Right after pruning, before retraining, on 900 validation rows: mutual information 71.0%, weight magnitude "
        "70.0% (within noise), random 50.0%."
    )


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"largest_class": 2}, "beside.largest_class=2: must be 0 to 1"),
        ({"largest_class": 0.5, "to_dense": {"value": 0.1, "stderr": 0.1}}, "lacks the accuracy of dense_test"),
        ({"largest_class": 0.5, "latency": {"device": "cpu", "threads": 1, "dtype": "float32", "tokens": 8}},
         "beside.latency.timings is empty"),
    ],
)  # fmt: skip
def test_what_stands_beside_is_checked(folder, beside, message):
    path = folder / "midropout_report.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"beside": beside}))
    with pytest.raises(ValueError, match=message):
        Report.load(folder)


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


def test_no_p_value_is_zero():
    row = SweepRow({}, {}, accuracy=0.7, macro_f1=0.7, loss=1.0, difference=0.0, stderr=0.001, p_value=1e-6)
    sweep = Sweep("accuracy", 0.01, 0.05, rows=2000, dense={}, levels=[row], chosen=0)
    assert also_done(replace(made_up_encoder_report().encoder, sweep=sweep))[0].endswith("worse, p < 0.001.")
    assert p_value(0.0) == "p < 0.001" and p_value(0.0005) == "p = 0.001" and p_value(0.25) == "p = 0.250"
