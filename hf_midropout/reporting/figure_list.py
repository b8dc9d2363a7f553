"""Every figure of a report, once: for the files that `train` and `prune` leave, for the page, and for the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from . import alt_texts
from .parts import FEW_LAYERS
from .report import Report


if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..pruning.record.training import PruningRecord


MANY = 1_000
"""Neurons of which not each is a dot."""


@dataclass
class Drawable:
    """What figures are drawn from: `report` ([`Report`], with arrays), and the checkpoint's `config` (`dict`)."""

    report: Report
    config: dict[str, Any]

    @cached_property
    def record(self) -> PruningRecord:
        """What happened to the neurons."""
        return self.report.record

    @property
    def log(self) -> list[dict[str, float]]:
        """Losses by step."""
        return self.report.training_log

    @property
    def test(self) -> Any:
        """[`Tested`], if there is one."""
        return self.report.test

    @property
    def sweep(self) -> Any:
        """[`Sweep`] of the last pruning step that has one, if there is one."""
        return self.report.pruning.last("sweep") if self.report.pruning else None

    @property
    def encoder(self) -> Any:
        """[`PrunedEncoder`], if there is one."""
        return self.report.encoder

    @property
    def neurons(self) -> int:
        """Before any was dropped."""
        return sum(layer.neurons for layer in self.report.pruning.layers) if self.report.pruning else 0

    @property
    def of_head(self) -> bool:
        """Whether it is about the neurons of a head."""
        return self.report.encoder is None


@dataclass(frozen=True)
class FigureEntry:
    """
    Args:
        name (`str`): Of its files.
        title (`str`), caption (`Callable`), alt (`Callable`): Its words; the latter two from a [`Drawable`].
        draw (`Callable`): From a [`Drawable`] to a `matplotlib` figure.
        shown (`Callable`, *optional*): Whether a [`Drawable`] has what it takes; any about a head if not given.
        height (`float`, *optional*): In inches on the page, whose width is a phone's; its own if not given.
        page_only (`bool`, *optional*, defaults to `False`): Whether commands other than `report` leave it out.
        card (`str`, *optional*): Alternative text in the model card; it is not in there if not given.
    """

    name: str
    title: str
    caption: Callable[[Drawable], str]
    alt: Callable[[Drawable], str]
    draw: Callable[[Drawable], Figure]
    shown: Callable[[Drawable], bool] = lambda it: it.of_head
    height: float | None = None
    page_only: bool = False
    card: str | None = None


def _figures() -> Any:
    from . import figures  # brings torch and matplotlib, which a card does without

    return figures


def _accuracy_figure() -> Any:
    from . import accuracy_figure

    return accuracy_figure


def _page_figures() -> Any:
    from . import page_figures

    return page_figures


def _encoder_figures() -> Any:
    from . import encoder_figures

    return encoder_figures


FIGURES = (
    FigureEntry(
        "accuracy",
        "Accuracy",
        caption=lambda it: (
            "Lines are two standard errors: of the difference from the dense network where that stands above, else "
            "of the accuracy itself."
        ),
        alt=lambda it: _accuracy_figure().accuracy_in_words(it.report),
        draw=lambda it: _accuracy_figure().accuracy(it.report),
        shown=lambda it: it.test is not None and it.test.accuracy is not None,
        card="Accuracy beside that of the dense network and of the controls, with error bars",
    ),
    FigureEntry(
        "information_lost",
        "Information lost",
        caption=lambda it: (
            f"Of the prediction, on {it.test.rows:,} {it.test.split} rows: with the same number of neurons, chosen by "
            "different criteria. Lines are two standard errors of the difference from the dense network."
        ),
        alt=lambda it: alt_texts.information_lost(it.report),
        draw=lambda it: _encoder_figures().information_lost(it.report),
        shown=lambda it: it.encoder is not None,
        card="Bits lost and accuracy by what neurons were chosen by, with error bars",
    ),
    FigureEntry(
        "neurons_kept",
        "Neurons kept",
        caption=lambda it: (
            "A strip a layer, dark where neurons matter; left of the orange line they were kept. Unexplained: what "
            "the refit left of what removing the others took from a layer's output."
        ),
        alt=lambda it: alt_texts.neurons_kept(it.encoder),
        draw=lambda it: _encoder_figures().neurons_kept(it.encoder, it.report.arrays),
        shown=lambda it: it.encoder is not None,
        card="Importance of the neurons of each layer, how many were kept, and what the refit left unexplained",
    ),
    FigureEntry(
        "architecture",
        "Architecture",
        caption=lambda it: "A dot is a neuron: blue ones were kept, grey ones dropped.",
        alt=lambda it: alt_texts.architecture(it.record, it.config),
        draw=lambda it: _page_figures().architecture(it.record, it.config),
        shown=lambda it: it.of_head and it.neurons <= MANY,
        page_only=True,
    ),
    FigureEntry(
        "bits_strips",
        "Neurons kept",
        caption=lambda it: (
            "A strip a layer, dark where neurons carry many bits; left of the orange line they were kept."
        ),
        alt=lambda it: alt_texts.bits_strips(it.record),
        draw=lambda it: _encoder_figures().bits_strips(it.record),
        shown=lambda it: it.of_head and it.neurons > MANY,
        page_only=True,
    ),
    FigureEntry(
        "bits_per_layer",
        "Bits per layer",
        caption=lambda it: (
            "Grey and light dots differ by arithmetic alone, as dropping the lowest raises a mean; light and dark "
            "ones by training."
        ),
        alt=lambda it: alt_texts.bits_per_layer(it.record),
        draw=lambda it: _figures().bits_per_layer(it.record),
        card="Mean bits per neuron of each layer, before pruning and after retraining",
    ),
    FigureEntry(
        "training_curve",
        "Training",
        caption=lambda it: "Loss over the optimizer steps.",
        alt=lambda it: alt_texts.training_curve(it.record, it.log),
        draw=lambda it: _figures().training_curve(it.record, it.log),
        shown=lambda it: it.of_head and bool(it.log),
        height=3.2,
        card="Loss over the optimizer steps, with the step at which neurons were dropped",
    ),
    FigureEntry(
        "bits_per_neuron",
        "Bits per neuron",
        caption=lambda it: "Mutual information with the label when neurons were dropped.",
        alt=lambda it: alt_texts.bits_per_neuron(it.record),
        draw=lambda it: _figures().bits_per_neuron(it.record),
        shown=lambda it: it.of_head and len(it.record.layers()) <= FEW_LAYERS,
    ),
    FigureEntry(
        "sweep",
        "Threshold search",
        caption=lambda it: (
            f"Every threshold tried on {it.sweep.rows:,} validation rows, before retraining. Chosen: the most pruned "
            f"one not inferior to the dense network (margin {it.sweep.margin:g})."
        ),
        alt=lambda it: alt_texts.sweep_curve(it.sweep),
        draw=lambda it: _figures().sweep_curve(it.sweep),
        shown=lambda it: it.of_head and it.sweep is not None and bool(it.sweep.levels),
    ),
    FigureEntry(
        "calibration",
        "Calibration",
        caption=lambda it: (
            f"On {it.test.rows:,} {it.test.split} rows: above the dotted line the model is right more often than it "
            "says, below it less often."
        ),
        alt=lambda it: alt_texts.reliability_diagram(it.test),
        draw=lambda it: _page_figures().reliability_diagram(it.test),
        shown=lambda it: it.test is not None and bool(it.test.calibration),
        page_only=True,
    ),
)
"""In the order of the page."""

CARD_FIGURES = {f"figures/{each.name}.png": each.card for each in FIGURES if each.card}
"""Paths and alternative texts."""
