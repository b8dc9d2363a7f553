"""How networks differ row against row."""

import pytest
import torch
from encoders import rows, tiny_classifier
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from hf_midropout.pruning.comparison.noninferiority import compare
from hf_midropout.pruning.comparison.predictions import Predictions, predict


def three(seed: int, rows: int, classes: int, scale: float) -> tuple[Predictions, Predictions, Predictions]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (rows,), generator=generator)
    dense, one, other = (scale * torch.randn(rows, classes, generator=generator) for _ in range(3))
    return Predictions(dense, labels), Predictions(one, labels), Predictions(other, labels)


several = given(st.integers(0, 10**6), st.integers(1, 40), st.integers(2, 6), st.floats(0.01, 30))


@several
def test_a_difference_and_its_converse(seed, rows, classes, scale):
    dense, one, other = three(seed, rows, classes, scale)
    there, back = one.less(other, dense), other.less(one, dense)
    for part in ("bits", "accuracy"):
        assert getattr(there, part).value == pytest.approx(-getattr(back, part).value, abs=1e-12)
        assert getattr(there, part).stderr == pytest.approx(getattr(back, part).stderr, abs=1e-12)
    nothing = one.less(one, dense)
    assert (nothing.bits.value, nothing.bits.stderr, nothing.accuracy.value, nothing.accuracy.stderr) == (0, 0, 0, 0)


@several
def test_against_the_dense_network_it_is_what_is_lost(seed, rows, classes, scale):
    dense, one, _ = three(seed, rows, classes, scale)
    lost = one.less(dense, dense)
    assert (lost.bits.value, lost.bits.stderr) == pytest.approx(one.bits_lost(dense))
    assert (one.bits_lost_by_row(dense) >= -1e-9).all()
    nats = nn.functional.kl_div(
        one.logits.double().log_softmax(1),
        dense.logits.double().log_softmax(1),
        log_target=True,
        reduction="batchmean",
    )
    assert lost.bits.value == pytest.approx(float(nats) / 0.6931471805599453, abs=1e-9)
    test = compare("accuracy", dense.logits, one.logits, one.labels, margin=0.1)
    assert (lost.accuracy.value, lost.accuracy.stderr) == pytest.approx((-test.difference, test.stderr))


def test_predictions_are_of_all_rows_in_their_order():
    model, batches = tiny_classifier("bert"), rows(21)
    found = predict(model, batches)
    batch = batches.collate_fn([batches.dataset[20]])
    with torch.no_grad():
        last = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert found.logits.shape == (21, 3) and torch.allclose(found.logits[20:], last, atol=1e-5)
    assert found.labels.tolist() == [item["labels"] for item in batches.dataset]
    right = (found.logits.argmax(1) == found.labels).double().mean()
    assert found.metrics()["accuracy"] == pytest.approx(float(right)) and found.metrics()["loss"] > 0
    assert found.largest_class() == max(found.labels.tolist().count(label) for label in range(3)) / 21
    assert sum(point["rows"] for point in found.calibration()) == 21
