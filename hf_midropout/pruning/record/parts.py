"""Scores, masks and metrics taken apart into JSON and arrays, and put together again, exactly."""

from __future__ import annotations

from typing import Any

import torch

from ...information import MutualInformation
from ...scoring.scores import NeuronScores
from ...utils.typed_json import to_json
from ..selection import Selection
from .arrays import KEPT, VALUES, Arrays, array_name, digest
from .schema import (
    Baselines,
    Metrics,
    ScoredLayer,
    Scores,
    Selected,
    SelectedLayer,
    Sweep,
    SweepRow,
    Validation,
)


def split_scores(step: int | str, scores: NeuronScores, arrays: Arrays) -> Scores:
    """What is JSON of `scores`; the rest goes into `arrays`."""
    own = {
        array_name(step, name, value): getattr(layer, value).detach().cpu().double().numpy()
        for name, layer in scores.layers.items()
        for value in VALUES
    }
    arrays.update(own)
    return Scores(
        problem_type=scores.problem_type,  # type: ignore[arg-type]
        num_classes=scores.num_classes,
        num_samples=scores.num_samples,
        num_ignored=scores.num_ignored,
        label_entropy_bits=scores.label_entropy,
        seconds=scores.seconds,
        bytes_reduced=scores.bytes_reduced,
        layers={name: ScoredLayer(len(layer.bits)) for name, layer in scores.layers.items()},
        sha256=digest(own.values()),
    )


def join_scores(step: int | str, scores: Scores, arrays: Arrays) -> NeuronScores:
    """What `split_scores` took apart."""
    layers = {}
    for name in scores.layers:
        bits, stderr, p_value = (torch.from_numpy(arrays[array_name(step, name, value)]) for value in VALUES)
        layers[name] = MutualInformation(bits, stderr, p_value, scores.label_entropy_bits, scores.num_samples)
    return NeuronScores(
        layers,
        num_classes=scores.num_classes,
        num_ignored=scores.num_ignored,
        seconds=scores.seconds,
        problem_type=scores.problem_type,
        bytes_reduced=scores.bytes_reduced,
    )


def split_selection(step: int, selection: Selection, arrays: Arrays) -> Selected:
    """What is JSON of `selection`; the masks go into `arrays`."""
    own = {array_name(step, name, KEPT): mask.cpu().numpy() for name, mask in selection.kept.items()}
    arrays.update(own)
    layers = {name: SelectedLayer(kept, selection.threshold[name]) for name, (kept, _) in selection.widths.items()}
    return Selected(layers, digest(own.values()))


def join_selection(step: int, selected: Selected, arrays: Arrays) -> Selection:
    """What `split_selection` took apart."""
    return Selection(
        {name: torch.from_numpy(arrays[array_name(step, name, KEPT)]) for name in selected.layers},
        {name: layer.threshold for name, layer in selected.layers.items()},
    )


def typed_metrics(metrics: dict[str, float] | None) -> Metrics | None:
    """`metrics` of a record as the report's type."""
    return Metrics(**metrics) if metrics else None


def typed_validation(validation: dict[str, Any]) -> Validation:
    """`validation` of a record as the report's type."""
    moments = {name: typed_metrics(value) for name, value in validation.items() if name != "rows"}
    return Validation(rows=validation.get("rows"), **moments)


def typed_sweep(sweep: dict[str, Any] | None) -> Sweep | None:
    """`sweep` of a record as the report's type."""
    return Sweep(**{**sweep, "levels": [SweepRow(**level) for level in sweep["levels"]]}) if sweep else None


def typed_baselines(baselines: dict[str, Any] | None) -> Baselines | None:
    """`baselines` of a record as the report's type."""
    if not baselines:
        return None
    return Baselines({name: Metrics(**each) for name, each in baselines["one_shot"].items()}, baselines["rows"])


def plain(value: Any) -> Any:
    """A part of a report as a record has it: dictionaries."""
    return value.to_dict() if isinstance(value, Sweep) else to_json(value)
