"""Which neurons to keep, given how important they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch


logger = logging.getLogger(__name__)


class NothingToSelect(ValueError):
    """The importances leave no selection to make: it would drop no neuron, or all of them."""


@dataclass
class Selection:
    """
    Args:
        kept (`dict[str, torch.Tensor]`): bool mask of shape `[K]` per layer, `True` for neurons to keep; on the CPU.
        threshold (`dict[str, float]`): Per layer, the lowest importance among the neurons kept: bits where mutual
            information is the criterion.
    """

    kept: dict[str, torch.Tensor]
    threshold: dict[str, float]

    @property
    def widths(self) -> dict[str, tuple[int, int]]:
        """(kept, all) neurons per layer."""
        return {name: (int(mask.sum()), mask.numel()) for name, mask in self.kept.items()}

    @property
    def counts(self) -> dict[str, int]:
        """Neurons kept per layer."""
        return {name: kept for name, (kept, _) in self.widths.items()}

    def __str__(self) -> str:
        return ", ".join(f"{name}: {kept} of {width}" for name, (kept, width) in self.widths.items())


def select(
    importance: Mapping[str, torch.Tensor],
    *,
    threshold: float | None = None,
    keep: float | None = None,
    scope: str = "layer",
) -> Selection:
    """
    Keeps the most important neurons: those at or above `threshold`, or the fraction `keep`. Equal ones keep the neuron
    with the lower index. A layer always keeps its best neuron.

    Args:
        importance (`Mapping[str, torch.Tensor]`): `[K]` per layer; -inf for neurons that were dropped before.
        threshold (`float`, *optional*): In the units of the importance; of all layers.
        keep (`float`, *optional*): Fraction of all neurons, in (0, 1).
        scope (`str`, *optional*, defaults to `"layer"`): `"layer"` keeps that fraction of each layer, `"global"` of
            all layers together.

    Raises:
        [`NothingToSelect`]: if every neuron would be dropped, or none.
    """
    everything = torch.cat(list(importance.values()))
    if threshold is not None:
        kept = {name: values >= threshold for name, values in importance.items()}
        rule = f"threshold={threshold}"
    elif keep is None:
        raise ValueError("Neither a threshold nor a fraction to keep was given.")
    elif scope == "global":
        chosen = most_important(everything, round(keep * len(everything)))
        kept = dict(zip(importance, chosen.split([len(values) for values in importance.values()]), strict=True))
        rule = f"keep={keep} of all layers"
    else:
        kept = {name: most_important(values, round(keep * len(values))) for name, values in importance.items()}
        rule = f"keep={keep} of each layer"

    left = everything[everything.isfinite()]
    total = sum(int(mask.sum()) for mask in kept.values())
    if total in (0, len(left)):
        raise NothingToSelect(
            f"{rule} would drop {'all' if total == 0 else 'none'} of {len(left)} neurons, whose importance runs from "
            f"{left.min():.4f} to {left.max():.4f}."
        )
    return _with_best_neurons(importance, kept, rule)


def nested_selections(importance: Mapping[str, torch.Tensor], scope: str, limit: int | None = None) -> list[Selection]:
    """
    Selections from the least to the most pruned, each within the one before: by one threshold for all layers
    (`scope="global"`) or by one fraction of each (`"layer"`).

    Args:
        importance (`Mapping[str, torch.Tensor]`): `[K]` per layer; -inf for neurons that were dropped before.
        scope (`str`): `"global"` or `"layer"`.
        limit (`int`, *optional*): Selections to give, evenly spaced; all by default.
    """
    if scope == "global":
        values = torch.cat(list(importance.values()))
        thresholds = values[values.isfinite()].unique()[1:].tolist()
        steps: list[dict[str, torch.Tensor]] = [
            {name: values >= threshold for name, values in importance.items()} for threshold in thresholds
        ]
    else:
        alive = {name: int(values.isfinite().sum()) for name, values in importance.items()}
        widest = max(alive.values())
        steps = [
            {name: most_important(values, round(step / widest * alive[name])) for name, values in importance.items()}
            for step in range(widest - 1, 0, -1)
        ]
    if limit is not None and len(steps) > limit:
        steps = [steps[round(number)] for number in torch.linspace(0, len(steps) - 1, limit).tolist()]
    selections = [_with_best_neurons(importance, kept) for kept in steps]
    counts = [[kept for kept, _ in selection.widths.values()] for selection in selections]
    everything = [int(values.isfinite().sum()) for values in importance.values()]
    # Where a layer's best neuron is kept against the rule, a step may change nothing.
    return [
        selection
        for selection, count, before in zip(selections, counts, [everything, *counts], strict=False)
        if count != before
    ]


def select_counts(importance: Mapping[str, torch.Tensor], counts: Mapping[str, int]) -> Selection:
    """The `counts[layer]` most important neurons of each layer."""
    kept = {name: most_important(values, counts[name]) for name, values in importance.items()}
    return _with_best_neurons(importance, kept)


def _with_best_neurons(
    importance: Mapping[str, torch.Tensor], kept: dict[str, torch.Tensor], rule: str | None = None
) -> Selection:
    """A layer never goes to zero neurons; with a `rule` to name, a warning tells."""
    for name, mask in kept.items():
        if not mask.any():
            neuron = int(importance[name].argmax())
            if rule:
                logger.warning(
                    "%s would drop all %d neurons of %s: keeping its best one, neuron %d with %.4f.",
                    rule, len(mask), name, neuron, importance[name][neuron],
                )  # fmt: skip
            mask[neuron] = True
    return Selection(kept, {name: float(importance[name][mask].min()) for name, mask in kept.items()})


def most_important(importance: torch.Tensor, count: int) -> torch.Tensor:
    """bool mask of the `count` neurons that matter most, at least one."""
    mask = torch.zeros(len(importance), dtype=torch.bool)
    mask[importance.argsort(descending=True, stable=True)[: max(1, count)]] = True
    return mask
