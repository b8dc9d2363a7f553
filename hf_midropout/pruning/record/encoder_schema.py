"""What the report tells of an encoder that was pruned in one shot, in JSON. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from ...utils.typed_json import AtMost, Between
from .arrays import IMPORTANCE, KEPT, ArraySets
from .latency_schema import Latency
from .schema import MAX_NEURONS, Count, Metrics, Sweep


MAX_GROUPS = 1_000
MAX_ENCODER_NEURONS = 2_000_000

Fraction = Annotated[float, Between(0, 1)]


@dataclass
class Estimate:
    """A mean over rows, `value` (`float`), and its standard error, `stderr` (`float`)."""

    value: float
    stderr: Annotated[float, Between(0, 1e9)]


@dataclass
class Difference:
    """
    Of one network less another, row against row.

    Args:
        bits ([`Estimate`]): Of the bits lost, the Kullback-Leibler divergence from the dense network's prediction.
        accuracy ([`Estimate`]): Of the accuracy.
    """

    bits: Estimate
    accuracy: Estimate


@dataclass(kw_only=True)
class Control(Metrics):
    """[`Metrics`] of neurons chosen otherwise, its differences `to_dense` and `to_chosen` ([`Difference`])."""

    to_dense: Difference
    to_chosen: Difference


@dataclass
class PrunedGroup:
    """
    Args:
        neurons, kept (`int`): Before and after.
        unexplained (`float`, *optional*): Share of the mean square of what was to be made good that the
            reconstruction has left.
    """

    neurons: Annotated[int, Between(1, MAX_NEURONS)]
    kept: Annotated[int, Between(1, MAX_NEURONS)]
    unexplained: float | None = None


@dataclass
class Measured:
    """The number, `rows` (`int`), and the `split` (`str`) of the rows that neurons were measured on."""

    split: str
    rows: Count


@dataclass
class DroppedLayers:
    """
    Args:
        layers (`int`): Layers before.
        kept (`list[int]`): Numbers of those left.
        bits (`float`, *optional*): By which the prediction changed when the last one went, before anything was
            refitted; `None` if there was no choice.
    """

    layers: Annotated[int, Between(1, MAX_GROUPS)]
    kept: Annotated[list[Count], AtMost(MAX_GROUPS)]
    bits: float | None = None


@dataclass
class TrimmedVocabulary:
    """As [`VocabularyTrimming`]."""

    tokens_before: Count
    tokens_after: Count
    texts: Count
    held_out: Count = 0
    identical: Fraction = 1.0
    length_ratio: float = 1.0
    new_unknown: int = 0


@dataclass(kw_only=True)
class PrunedEncoder:
    """
    Metrics of the pruned and the dense network are the report's `test` and `dense_test`.

    Args:
        criterion (`str`): What neurons were chosen by.
        groups (`dict[str, PrunedGroup]`): From the input to the output of the network.
        measured ([`Measured`]): Whether the classifier was trained on these rows, nobody knows.
        largest_class (`float`): Share of the rows compared that are of the most frequent class.
        to_dense ([`Difference`]): Of the pruned network.
        controls (`dict[str, Control]`): By criterion, with the same number of neurons and the same reconstruction.
        sha256 (`str`): Of the arrays: importance and mask of each group.
        neurons_at_first (`int`, *optional*): Before an earlier pruning of the same encoder.
        command (`str`): That made it.
        sweep ([`Sweep`], *optional*): The search of the width.
        layers ([`DroppedLayers`], *optional*): What went before the neurons.
        vocabulary ([`TrimmedVocabulary`], *optional*): What went after them.
        latency ([`Latency`], *optional*): Time of the dense and of the saved network, if it was measured.
    """

    criterion: str
    groups: Annotated[dict[str, PrunedGroup], AtMost(MAX_GROUPS)]
    measured: Measured
    largest_class: Fraction
    to_dense: Difference
    controls: Annotated[dict[str, Control], AtMost(100)] = field(default_factory=dict)
    sha256: str
    neurons_at_first: Count | None = None
    command: str = ""
    sweep: Sweep | None = None
    layers: DroppedLayers | None = None
    vocabulary: TrimmedVocabulary | None = None
    latency: Latency | None = None

    @property
    def neurons(self) -> int:
        """Of all groups, before."""
        return sum(group.neurons for group in self.groups.values())

    @property
    def kept(self) -> int:
        """Of all groups, after."""
        return sum(group.kept for group in self.groups.values())

    @property
    def is_uneven(self) -> bool:
        """Whether its layers have different widths."""
        return len({group.kept for group in self.groups.values()}) > 1

    def named_arrays(self) -> ArraySets:
        """The arrays that this is about."""
        names = [(name, group.neurons) for name, group in self.groups.items()]
        yield {array_name(name, part): size for name, size in names for part in (IMPORTANCE, KEPT)}, self.sha256


def array_name(group: str, value: str) -> str:
    """The name of a tensor: `IMPORTANCE` or `KEPT` of a group."""
    return f"encoder/{group}/{value}"


def check_encoder(encoder: PrunedEncoder, pruned: Metrics | None, dense: Metrics | None) -> None:
    """`ValueError` for parts that do not fit each other, or that a page cannot be made of."""
    if not encoder.groups:
        raise ValueError("its encoder has no groups")
    for group in encoder.groups.values():
        if group.kept > group.neurons:
            raise ValueError(f"encoder.groups keeps {group.kept:,} of {group.neurons:,} neurons")
    if encoder.neurons > MAX_ENCODER_NEURONS:
        raise ValueError(f"its encoder has more than {MAX_ENCODER_NEURONS:,} neurons, which no page can show")
    if encoder.latency is not None:
        if not encoder.latency.timings:
            raise ValueError("encoder.latency.timings is empty")
        if encoder.latency.search is not None and not encoder.latency.search.tried:
            raise ValueError("encoder.latency.search.tried is empty")
    for where, metrics in (("test", pruned), ("dense_test", dense), *encoder.controls.items()):
        if metrics is None or metrics.accuracy is None:
            raise ValueError(f"it lacks the accuracy of {where}")
        if not 0 <= metrics.accuracy <= 1:
            raise ValueError(f"an accuracy of {metrics.accuracy:g}: must be 0 to 1")
