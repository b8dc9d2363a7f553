"""Makes the report of an encoder that was pruned in one shot: what was done, with what, and what came of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING

from ..data.datasets import TextClassificationData
from ..pruning.comparison.predictions import Predictions
from ..pruning.record.arrays import Arrays, digest
from ..pruning.record.encoder_schema import (
    IMPORTANCE,
    KEPT,
    Control,
    DroppedLayers,
    Measured,
    PrunedEncoder,
    PrunedGroup,
    TrimmedVocabulary,
    array_name,
)
from ..version import __version__
from .building import environment, tested
from .report import Data, Model, Report


if TYPE_CHECKING:
    from ..pruning.encoder.one_shot import EncoderPruning
    from ..pruning.layers.dropping import LayerDropping
    from ..pruning.record.latency_schema import Latency
    from ..pruning.record.schema import Sweep
    from ..pruning.vocabulary.trimming import VocabularyTrimming


DENSE = "dense"


def build_encoder_report(
    model: Model,
    data: TextClassificationData,
    criterion: str,
    pruning: EncoderPruning,
    predictions: Mapping[str, Predictions],
    measured: Measured,
    split: str,
    seconds: dict[str, float],
    command: str,
    neurons_at_first: int | None = None,
    *,
    sweep: Sweep | None = None,
    dropping: LayerDropping | None = None,
    trimming: VocabularyTrimming | None = None,
    latency: Latency | None = None,
) -> Report:
    """
    The report of `hf-midropout prune`.

    Args:
        model ([`Model`]): The checkpoint, and its sizes before and after.
        data ([`TextClassificationData`]): What was measured and compared on.
        criterion (`str`): As it was asked for.
        pruning ([`EncoderPruning`]): What happened to the neurons chosen by `criterion`.
        predictions (`Mapping[str, Predictions]`): Of the network before, under `DENSE`, and of those pruned by each
            criterion; all of the same rows of `split` (`str`).
        measured ([`Measured`]): The rows that neurons were measured on.
        seconds (`dict[str, float]`): Wall time by phase.
        command (`str`): The command line, as it may be published.
        neurons_at_first (`int`, *optional*): Before an earlier pruning of the same encoder.
        sweep, dropping, trimming: The search of the width, and what happened to layers and vocabulary, if anything.
        latency ([`Latency`], *optional*): Time of the network before and after.
    """
    dense, chosen = predictions[DENSE], predictions[criterion]
    arrays: Arrays = {}
    for name, kept in pruning.selection.kept.items():
        arrays[array_name(name, IMPORTANCE)] = pruning.importance[name].double().cpu().numpy()
        arrays[array_name(name, KEPT)] = kept.cpu().numpy()
    encoder = PrunedEncoder(
        criterion=criterion,
        groups={
            name: PrunedGroup(neurons, kept, pruning.unexplained.get(name))
            for name, (kept, neurons) in pruning.selection.widths.items()
        },
        measured=measured,
        largest_class=dense.largest_class(),
        to_dense=chosen.less(dense, dense),
        controls={
            name: Control(**each.metrics(), to_dense=each.less(dense, dense), to_chosen=each.less(chosen, dense))
            for name, each in predictions.items()
            if name not in (DENSE, criterion)
        },
        sha256=digest(arrays.values()),
        neurons_at_first=neurons_at_first,
        command=command,
        sweep=sweep,
        layers=dropped_layers(dropping),
        vocabulary=TrimmedVocabulary(**asdict(trimming)) if trimming else None,
        latency=latency,
    )
    test, dense_test = (
        tested(split, len(each.labels), each.metrics(), each.calibration()) for each in (chosen, dense)
    )
    return Report(
        hf_midropout_version=__version__,
        model=model,
        data=Data(
            name=data.name,
            source=data.source,
            labels=data.label_names,
            rows={split: len(rows) for split, rows in data.splits.items()},
            notes=data.notes,
            pairs=data.paired,
        ),
        test=test,
        dense_test=dense_test,
        encoder=encoder,
        seconds=seconds,
        environment=environment(),
        arrays=arrays,
    )


def dropped_layers(dropping: LayerDropping | None) -> DroppedLayers | None:
    """What the report tells of it."""
    if dropping is None:
        return None
    bits = [bits for _, bits in dropping.costs if math.isfinite(bits)]
    return DroppedLayers(dropping.layers, dropping.kept, bits[-1] if bits else None)
