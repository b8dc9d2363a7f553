"""Prunes the feed-forward neurons of an encoder in one shot: measured, selected, cut, reconstructed; not trained."""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tqdm.auto import tqdm

from ...choices import Scope
from ...groups import Groups, cut_groups, find_groups, linear_of
from ...model_types import is_uneven
from ...models.uneven_widths import write_widths
from ...scoring.batches import Batches
from ...scoring.inference import frozen_inference
from ...scoring.passes import LabelledBatch, labelled_batches, rounds
from .. import criteria as known
from ..config_checks import FEWEST_ROWS
from ..criteria import Importance, importance
from ..selection import NothingToSelect, Selection, select_counts
from .evidence import EncoderEvidence
from .sequential_reconstruction import SequentialReconstruction
from .width_allocation import allocate, width_for


if TYPE_CHECKING:
    from transformers import PreTrainedModel


logger = logging.getLogger(__name__)


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


def set_width(model: PreTrainedModel, groups: Groups) -> None:
    """
    Writes the width that all `groups` of `model` have into its config, so that stock classes load it; or their
    different ones, as [`write_widths`] does.
    """
    widths = [linear_of(model, group.consumer).in_features for group in groups.values()]
    field = str(next(iter(groups.values())).config_width)
    if len(set(widths)) == 1 and not is_uneven(model.config.model_type):
        setattr(model.config, field, widths[0])
    else:
        write_widths(model, field, widths)


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
        keep (`float`): Fraction of the neurons to keep, in (0, 1); the number is rounded by [`width_for`].
        width (`int`, *optional*): Instead, their number in each layer.
        scope (`str`, *optional*, defaults to `"layer"`): `"layer"` keeps as many in each layer, `"global"` as many in
            all, more in layers where they matter more, as [`allocate`] says.
        counts (`Mapping[str, int]`, *optional*): Instead of all that, their number by group.
    """

    criterion: str
    keep: float = 1.0
    width: int | None = None
    scope: Scope = "layer"
    counts: Mapping[str, int] | None = None

    def counts_of(self, evidence: EncoderEvidence) -> dict[str, int]:
        """
        How many neurons of each group to keep.

        Raises:
            [`NothingToSelect`]: if that is all of them.
        """
        units = {name: group.num_units for name, group in evidence.groups.items()}
        if self.counts is not None:
            counts = dict(self.counts)
        else:
            counts = {name: self.width or width_for(self.keep, number) for name, number in units.items()}
            if self.scope == "global":
                counts = allocate(importance(evidence, self.criterion), evidence.groups, counts)
        if all(count >= units[name] for name, count in counts.items()):
            first = next(iter(units))
            raise NothingToSelect(
                f"keep={self.keep} would drop none of {units[first]:,} neurons in each layer: their number is rounded "
                f"to {counts[first]:,}."
            )
        return counts


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
    for name, budget in budgets.items():
        values = importance(evidence, budget.criterion)
        results[name] = EncoderPruning(values, select_counts(values, budget.counts_of(evidence)))
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
    needed = {known.NEEDS.get(name) for name in criteria}
    evidence = EncoderEvidence(
        model,
        groups,
        model.config.num_labels,
        seed,
        derivatives="derivatives" in needed,
        moments="moments" in needed,
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
    evidence.gather(bar)
    if evidence.rows < FEWEST_ROWS:
        logger.warning(
            "Neurons are ranked, and weights refitted, on only %d rows: other rows may give another network. Give %d "
            "or more, if possible; they need not be rows that the model was trained on.",
            evidence.rows, FEWEST_ROWS,
        )  # fmt: skip
    return evidence


def first_rows(batches: Iterable[LabelledBatch], rows: int | None) -> Iterator[LabelledBatch]:
    """As many of the first `batches` as hold `rows`; all for `None`."""
    seen = 0
    for batch in batches:
        if rows is not None and seen >= rows:
            return
        seen += len(batch.labels)
        yield batch
