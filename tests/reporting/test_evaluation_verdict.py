"""What is said of an evaluation: chance and noise are called that."""

import torch

from hf_midropout.pruning.comparison.evaluation import compare_paired, evaluate
from hf_midropout.pruning.comparison.predictions import Predictions
from hf_midropout.reporting.evaluation_verdict import evaluation_verdict


def right_in(share: float, rows: int = 400) -> Predictions:
    labels = torch.arange(rows) % 4
    logits = torch.nn.functional.one_hot(labels, 4) * 4.0
    wrong = torch.arange(rows) >= round(share * rows)
    return Predictions(torch.where(wrong[:, None], logits.roll(1, 1), logits), labels)


def said(this: float, other: float, margin: float = 0.01) -> str:
    one, two = right_in(this), right_in(other)
    beside = ("dense", evaluate(two), compare_paired(one, two, margin))
    return " ".join(evaluation_verdict(evaluate(one), "test", beside))


def test_alone():
    assert evaluation_verdict(evaluate(right_in(0.9)), "test") == [
        "Accuracy 90.0% ± 1.5 on 400 test rows, largest class 25.0%."
    ]
    assert evaluation_verdict(evaluate(right_in(0.26)), "all") == [
        "Accuracy 26.0% ± 2.2 (chance) on 400 rows, largest class 25.0%."
    ]


def test_beside_another():
    assert said(0.8, 0.9).startswith(
        "Accuracy 80.0% ± 2.0 on 400 test rows, dense 90.0% ± 1.5 (difference -10.0 ± 1.5 points), "
        "largest class 25.0%. It is not shown to be less than 1 point below that of dense (p = "
    )
    assert "(+0.0 ± 0.0 points: no difference shown on 400 rows)" in said(0.9, 0.9)
    assert "It is shown to be less than 5 points below that of dense (p < 0.001)." in said(0.9, 0.9, margin=0.05)
