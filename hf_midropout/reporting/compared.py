"""The networks that a report on an encoder compares, in the order in which tables and figures have them."""

from __future__ import annotations

from typing import NamedTuple

from ..pruning.record.encoder_schema import Difference
from ..pruning.record.schema import Metrics
from .parts import encoder_criterion_name, in_order
from .report import Report
from .verdict import is_noise


class Compared(NamedTuple):
    """
    Args:
        name (`str`): What its neurons were chosen by, in words; `"dense"` of the network before.
        metrics ([`Metrics`]): On the rows compared on.
        to_dense ([`Difference`], *optional*): `None` of the dense one itself.
        chosen (`bool`): Whether it is the one that was saved.
        noise (`bool`): Whether no difference is shown between its accuracy and that of the one saved.
    """

    name: str
    metrics: Metrics
    to_dense: Difference | None = None
    chosen: bool = False
    noise: bool = False


def compared(report: Report) -> list[Compared]:
    """The dense network, the one that was saved, and the controls."""
    encoder, test, dense = report.encoder, report.test, report.dense_test
    assert encoder is not None and test is not None and dense is not None  # as the reader checks
    return [
        Compared("dense", dense),
        Compared(encoder_criterion_name(encoder.criterion), test, encoder.to_dense, chosen=True),
        *(
            Compared(
                encoder_criterion_name(name), each, each.to_dense, noise=is_noise(each.to_chosen.accuracy, test.rows)
            )
            for name in in_order(encoder.controls, encoder.criterion)
            for each in (encoder.controls[name],)
        ),
    ]
