"""Prunes the feed-forward neurons of an encoder in one shot: measured, selected, cut, reconstructed; not trained."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from ..groups import Groups, cut_groups, find_groups, linear_of
from ..scoring.inference import Batches, frozen_inference
from ..scoring.passes import LabelledBatch, labelled_batches, rounds
from .criteria import Importance, importance
from .encoder_evidence import EncoderEvidence
from .selection import NothingToSelect, Selection, select_counts
from .sequential_reconstruction import SequentialReconstruction


if TYPE_CHECKING:
    from transformers import PreTrainedModel


DERIVATIVES = {"taylor", "mask_fisher"}
MULTIPLE = 32
"""Widths are multiples of this: others can be slower than wider ones."""
FEWEST_WIDTHS = 16
"""To choose from in a layer so narrow that it has fewer multiples."""


@dataclass
class EncoderPruning:
    """
    What was done to the neurons of an encoder.

    Args:
        importance (`dict[str, torch.Tensor]`): Of every neuron, by group.
        selection ([`Selection`]): Which were kept.
        unexplained (`dict[str, float]`): By group, the share of the mean square of what was to be made good by the
            reconstruction that is left.
        seconds (`dict[str, float]`): Wall time of `"measuring"`, `"selecting"` and `"reconstructing"`.
    """

    importance: Importance
    selection: Selection
    unexplained: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def width_for(keep: float, units: int) -> int:
    """The width nearest to the fraction `keep` of `units` among multiples of 32, or of less in narrow layers."""
    multiple = min(MULTIPLE, max(1, units // FEWEST_WIDTHS))
    return min(max(1, round(keep * units / multiple)) * multiple, units)


def set_width(model: PreTrainedModel, groups: Groups) -> None:
    """Writes the width that all `groups` of `model` have into its config, so that stock classes load it."""
    widths = {linear_of(model, group.consumer).in_features for group in groups.values()}
    fields = {group.config_width for group in groups.values()}
    if len(widths) != 1 or len(fields) != 1:
        raise ValueError(f"Layers of {sorted(widths)} neurons cannot be told in one field of a stock config.")
    setattr(model.config, str(fields.pop()), widths.pop())


def prune_encoder(
    model: PreTrainedModel,
    batches: Batches,
    keep: float,
    criterion: str = "prediction_information",
    seed: int = 0,
) -> EncoderPruning:
    """
    Removes the feed-forward neurons that `criterion` ranks lowest, the same number from each layer, and refits the
    weights that read the others. The model gets smaller in place, and so is what `save_pretrained` writes.

    Args:
        model ([`~transformers.PreTrainedModel`]): A fine-tuned classifier whose architecture is in the table.
        batches (`Batches`): Rows to measure and reconstruct on. Better none that the model was trained on.
        keep (`float`): Fraction of each layer's neurons to keep, in (0, 1).
        criterion (`str`, *optional*, defaults to `"prediction_information"`): A key of `ENCODER_CRITERIA`.
        seed (`int`, *optional*, defaults to 0): Seed of what is drawn.

    Returns:
        [`EncoderPruning`]
    """
    started = time.perf_counter()
    evidence = measure_encoder(copy.deepcopy(model), batches, seed, [criterion])
    measured = time.perf_counter() - started
    result = prune_with(evidence, {"": Budget(criterion, keep)}, {"": model})[""]
    result.seconds = {"measuring": measured, **result.seconds}
    return result


@dataclass(frozen=True)
class Budget:
    """
    Args:
        criterion (`str`): A key of `ENCODER_CRITERIA`.
        keep (`float`): Fraction of each layer's neurons to keep, in (0, 1); the number is rounded by [`width_for`].
        width (`int`, *optional*): Instead, their number in each layer.
    """

    criterion: str
    keep: float = 1.0
    width: int | None = None

    def width_of(self, units: int) -> int:
        """How many of `units` neurons to keep."""
        return width_for(self.keep, units) if self.width is None else self.width


def prune_with(
    evidence: EncoderEvidence,
    budgets: Mapping[str, Budget],
    networks: Mapping[str, PreTrainedModel],
    reconstruct: bool = True,
) -> dict[str, EncoderPruning]:
    """
    Prunes copies of one dense network, each to its own budget, in place. They share the dense network's pass, so that
    three criteria to compare with cost less than three times as much.

    Args:
        evidence ([`EncoderEvidence`]): What [`measure_encoder`] gave for the dense network.
        budgets (`Mapping[str, Budget]`): By any name.
        networks (`Mapping[str, PreTrainedModel]`): By the same names: other objects than the dense network.
        reconstruct (`bool`, *optional*, defaults to `True`): Whether to refit the weights that read the kept neurons.

    Raises:
        [`NothingToSelect`]: for a budget that would drop no neuron.
    """
    started = time.perf_counter()
    results: dict[str, EncoderPruning] = {}
    ranked: dict[str, Importance] = {}
    for name, budget in budgets.items():
        if budget.criterion not in ranked:
            ranked[budget.criterion] = importance(evidence, budget.criterion)
        values = ranked[budget.criterion]
        counts = {group: budget.width_of(len(each)) for group, each in values.items()}
        if all(count >= len(values[group]) for group, count in counts.items()):
            units = len(next(iter(values.values())))
            raise NothingToSelect(
                f"keep={budget.keep} would drop none of {units:,} neurons in each layer: their number is rounded to "
                f"{budget.width_of(units):,}."
            )
        results[name] = EncoderPruning(values, select_counts(values, counts))
    selected = time.perf_counter()
    for name, result in results.items():
        cut_groups(networks[name], evidence.groups, result.selection.kept)
        set_width(networks[name], evidence.groups)
    if not reconstruct:
        return results
    reconstruction = SequentialReconstruction(evidence.network, evidence.groups, evidence.calls, evidence.tokens)
    with ExitStack() as frozen:
        for network in (evidence.network, *networks.values()):
            frozen.enter_context(frozen_inference(network))
        left = reconstruction.reconstruct(networks)
    seconds = {"selecting": selected - started, "reconstructing": time.perf_counter() - selected}
    for name, result in results.items():
        result.unexplained, result.seconds = left[name], dict(seconds)
    return results


def measure_encoder(
    model: PreTrainedModel,
    batches: Batches,
    seed: int = 0,
    criteria: Sequence[str] = (),
    max_rows: int | None = None,
    progress: bool = False,
) -> EncoderEvidence:
    """
    What `criteria`, and all that cost no more, need of the feed-forward neurons of `model`, over `batches`: over as
    many of the first ones as hold `max_rows`, if that is given.

    Raises:
        `ValueError`: for NaN or infinite activations.
    """
    groups = find_groups(model, "encoder")
    evidence = EncoderEvidence(
        model, groups, model.config.num_labels, seed, derivatives=bool(DERIVATIVES & {*criteria})
    )
    total = rounds(batches, 1)
    if total is not None and max_rows is not None:
        total = min(total, -(-max_rows // getattr(batches, "batch_size", 1)))
    bar = tqdm(
        first_rows(labelled_batches(batches), max_rows),
        total=total,
        desc="Measuring neurons",
        unit="batch",
        disable=not progress,
    )
    return evidence.gather(bar)


def first_rows(batches: Iterable[LabelledBatch], rows: int | None) -> Iterator[LabelledBatch]:
    """As many of the first `batches` as hold `rows`; all for `None`."""
    seen = 0
    for batch in batches:
        if rows is not None and seen >= rows:
            return
        seen += len(batch.labels)
        yield batch
