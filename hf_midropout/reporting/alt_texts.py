"""What each figure of the report shows, in words: for readers who do not see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..pruning.record.encoder_schema import PrunedEncoder
from ..pruning.record.schema import Sweep
from .compared import compared
from .parts import encoder_of
from .report import Report, Tested
from .verdict import percent, plus_minus


if TYPE_CHECKING:
    from ..pruning.record.training import PruningRecord  # brings torch


def architecture(record: PruningRecord, config: dict[str, Any]) -> str:
    """Of `page_figures.architecture`."""
    parts = [f"{layer.name} with {layer.kept} of {layer.neurons} neurons kept" for layer in record.layers()]
    name, num_layers, width = encoder_of(config)
    return (
        f"From top to bottom: the text's tokens, the {name} encoder ({num_layers} layers of {width} units), "
        f"{', '.join(parts)}, "
        f"and {len(config.get('id2label') or [0, 1])} classes. "
        "Every neuron is a dot, blue if it was kept, grey if it was dropped."
    )


def bits_per_layer(record: PruningRecord) -> str:
    """Of `figures.bits_per_layer`."""
    parts = []
    for layer in record.layers():
        after = layer.mean_bits_after_of_kept
        parts.append(
            f"{layer.name}: {layer.mean_bits_before:.2f} for all neurons before pruning, "
            f"{layer.mean_bits_before_of_kept:.2f} for the kept ones"
            + (f", {after:.2f} for these after retraining" if after is not None else "")
        )
    return (
        f"Dots for the mean bits per neuron. {'; '.join(parts)}. The label has {record.before.label_entropy:.2f} bits."
    )


def bits_strips(record: PruningRecord) -> str:
    """Of `encoder_figures.bits_strips`."""
    parts = [f"{layer.name}: {layer.kept:,} of {layer.neurons:,} neurons kept" for layer in record.layers()]
    return (
        "A strip for each layer, its neurons from the most to the fewest bits, with a line where those kept end. "
        f"{'; '.join(parts)}."
    )


def bits_per_neuron(record: PruningRecord) -> str:
    """Of `figures.histogram_of_bits`."""
    parts = []
    for layer, scores in zip(record.layers(), record.before.layers.values(), strict=True):
        cut = layer.lowest_bits_kept
        parts.append(
            f"{layer.name}: {len(scores.bits)} neurons from {scores.bits.min():.2f} to {scores.bits.max():.2f} bits"
            + (f", the lowest kept with {cut:.2f}" if isinstance(cut, float) else "")
        )
    return f"Histograms of the bits of each neuron when neurons were dropped. {'; '.join(parts)}."


def training_curve(record: PruningRecord, log: list[dict[str, float]]) -> str:
    """Of `figures.training_curve`."""
    what, steps = (
        "dropped" if record.selection else "scored",
        ", ".join(str(each.step) for each in record.pruning_steps),
    )
    text = f"Line chart of the loss over {record.max_steps} optimizer steps; neurons were {what} after step {steps}."
    for key, name in (("loss", "Training"), ("eval_loss", "Validation")):
        points = [entry[key] for entry in log if key in entry]
        if points:
            text += f" {name} loss goes from {points[0]:.2f} to {points[-1]:.2f}."
    return text


def sweep_curve(sweep: Sweep) -> str:
    """Of `figures.sweep_curve`."""

    def said(number: int) -> tuple[int, float]:
        level = sweep.levels[number]
        return sum(level.kept.values()), getattr(level, sweep.metric)

    (most, first), (fewest, last) = said(0), said(-1)
    text = (
        f"Line chart of the {sweep.metric.replace('_', ' ')} on validation rows over the neurons kept, before "
        f"retraining: {first:.3f} with {most} neurons, {last:.3f} with {fewest}; "
        f"{sweep.dense[sweep.metric]:.3f} before pruning."
    )
    if sweep.chosen is not None:
        kept, value = said(sweep.chosen)
        text += f" Chosen: {kept} neurons with {value:.3f}."
    return text


def reliability_diagram(test: Tested) -> str:
    """Of `page_figures.reliability_diagram`."""
    points = test.calibration
    gaps = [point.confidence - point.accuracy for point in points]
    above = sum(gap > 0 for gap in gaps)
    error = test.expected_calibration_error
    return (
        f"Reliability diagram on {test.rows} {test.split} rows: accuracy over confidence in {len(points)} bins, "
        f"less sure than right in {len(gaps) - above}, surer than right in {above}. Surest bin: confidence "
        f"{points[-1].confidence:.2f}, accuracy {points[-1].accuracy:.2f}."
        + (f" Expected calibration error {error:.3f}." if error is not None else "")
    )


def information_lost(report: Report) -> str:
    """Of `encoder_figures.information_lost`."""
    dense, *pruned = compared(report)
    parts = [
        f"{each.name}: {plus_minus(each.to_dense.bits, digits=3, sign='-')} bits lost, accuracy "
        f"{percent(each.metrics.accuracy)}"
        for each in pruned
        if each.to_dense
    ]
    return (
        "Dots with error bars of the bits lost and of the accuracy, by what neurons were chosen by. "
        f"{'; '.join(parts)}; the dense network {percent(dense.metrics.accuracy)}."
    )


def neurons_kept(encoder: PrunedEncoder) -> str:
    """Of `encoder_figures.neurons_kept`."""
    parts = [
        f"{name}: {group.kept:,} of {group.neurons:,} neurons kept"
        + (f", {percent(group.unexplained)} unexplained" if group.unexplained is not None else "")
        for name, group in encoder.groups.items()
    ]
    return (
        "A strip for each layer of the encoder, its neurons from the most to the least important, with a line where "
        f"those kept end, and bars of what the refit left unexplained. {'; '.join(parts)}."
    )
