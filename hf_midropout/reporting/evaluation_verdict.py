"""What came of an evaluation, in sentences: the same on the terminal and in its file."""

from __future__ import annotations

from ..pruning.comparison.evaluation import ALPHA, Evaluation, PairedComparison
from ..pruning.record.encoder_schema import Estimate
from ..utils.terminal import one_line
from .verdict import difference, is_chance, p_value, percent


def evaluation_verdict(
    evaluation: Evaluation,
    split: str,
    other: tuple[str, Evaluation, PairedComparison] | None = None,
) -> list[str]:
    """
    A sentence on the accuracy and, beside another classifier, one on whether it is lower.

    Args:
        evaluation ([`Evaluation`]): Of the classifier.
        split (`str`): Of the rows; `"all"` of a file that has none.
        other (`tuple`, *optional*): Name and evaluation of another one, and how this one compares with it.
    """
    rows = f"{evaluation.rows:,}{'' if split == 'all' else f' {one_line(split, 40)}'} rows"
    first = f"Accuracy {with_error(evaluation)} on {rows}"
    if other is None:
        return [f"{first}, largest class {percent(evaluation.largest_class)}."]
    name, evaluation_of_other, paired = other
    name = one_line(name, 60)
    margin = f"{100 * paired.margin:.3g} point{'s' * (paired.margin != 0.01)}"
    if paired.not_worse:
        second = f"It is shown to be less than {margin} below that of {name} ({p_value(paired.p_value)})."
    else:
        second = (
            f"It is not shown to be less than {margin} below that of {name} ({p_value(paired.p_value)}, must be "
            f"{ALPHA} or less); that takes about {paired.rows_needed:,} rows where there is no difference."
        )
    return [
        f"{first}, {name} {with_error(evaluation_of_other)} "
        f"({difference(paired.differences['accuracy'], evaluation.rows)}), largest class "
        f"{percent(evaluation.largest_class)}.",
        second,
    ]


def with_error(evaluation: Evaluation) -> str:
    """The accuracy with its standard error, and a remark if it is that of chance."""
    accuracy: Estimate = evaluation.metrics["accuracy"]
    chance = " (chance)" if is_chance(accuracy.value, evaluation.largest_class, evaluation.rows) else ""
    return f"{percent(accuracy.value)} ± {100 * accuracy.stderr:.1f}{chance}"
