"""Which neurons to keep, given their scores."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from .midropout_config import MIDropoutConfig
from .scores import NeuronScores


logger = logging.getLogger(__name__)


class NothingToSelect(ValueError):
    """The scores leave no selection to make: it would drop no neuron, or all of them."""


@dataclass
class Selection:
    """
    Args:
        kept (`dict[str, torch.Tensor]`): bool mask of shape `[K]` per layer, `True` for neurons to keep; on the CPU.
        threshold (`dict[str, float]`): Per layer, the lowest bits among the neurons kept.
    """

    kept: dict[str, torch.Tensor]
    threshold: dict[str, float]

    @property
    def widths(self) -> dict[str, tuple[int, int]]:
        """(kept, all) neurons per layer."""
        return {name: (int(mask.sum()), mask.numel()) for name, mask in self.kept.items()}

    def __str__(self) -> str:
        return ", ".join(f"{name}: {kept} of {width}" for name, (kept, width) in self.widths.items())


def select(scores: NeuronScores, config: MIDropoutConfig) -> Selection:
    """
    Keeps the neurons with the most mutual information: those at or above `config.threshold` bits, or the fraction
    `config.keep`. Equal scores keep the neuron with the lower index. A layer always keeps its best neuron.

    Raises:
        [`NothingToSelect`]: if every neuron would be dropped, or none.
    """
    bits = {name: layer.bits.cpu() for name, layer in scores.layers.items()}
    everything = torch.cat(list(bits.values()))
    if config.threshold is not None:
        kept = {name: values >= config.threshold for name, values in bits.items()}
        rule = f"threshold={config.threshold} bits"
    elif config.keep is None:
        raise ValueError("The configuration has neither a threshold nor a fraction to keep.")
    elif config.scope == "global":
        chosen = best(everything, config.keep)
        kept = dict(zip(bits, chosen.split([len(values) for values in bits.values()]), strict=True))
        rule = f"keep={config.keep} of all layers"
    else:
        kept = {name: best(values, config.keep) for name, values in bits.items()}
        rule = f"keep={config.keep} of each layer"

    total = sum(int(mask.sum()) for mask in kept.values())
    if total in (0, len(everything)):
        raise NothingToSelect(
            f"{rule} would drop {'all' if total == 0 else 'none'} of {len(everything)} neurons, whose scores run from "
            f"{everything.min():.4f} to {everything.max():.4f} bits (label entropy {scores.label_entropy:.4f})."
        )
    for name, mask in kept.items():
        if not mask.any():
            best_neuron = int(bits[name].argmax())
            logger.warning(
                "%s would drop all %d neurons of %s: keeping its best one, neuron %d with %.4f bits.",
                rule, len(mask), name, best_neuron, bits[name][best_neuron],
            )  # fmt: skip
            mask[best_neuron] = True
    return Selection(kept, {name: float(bits[name][mask].min()) for name, mask in kept.items()})


def best(bits: torch.Tensor, fraction: float) -> torch.Tensor:
    """bool mask of the `fraction` of neurons with the most bits, at least one."""
    count = max(1, round(fraction * len(bits)))
    mask = torch.zeros(len(bits), dtype=torch.bool)
    mask[bits.argsort(descending=True, stable=True)[:count]] = True
    return mask
