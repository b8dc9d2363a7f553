"""What criteria may look at of any group, in a head or an encoder: its weights, and random draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from ..groups import Groups, PrunableGroup


def random_draws(groups: Groups, seed: int) -> dict[str, torch.Tensor]:
    """`[K]` uniform draws by group, one group after the other."""
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.rand(group.num_units, generator=generator) for name, group in groups.items()}


@dataclass(frozen=True)
class UnitStatistics:
    """
    Args:
        evidence (`Any`): What was measured of all groups: with a `network`, and `random` as [`random_draws`] gives.
        group ([`PrunableGroup`]): The one that this is about.
    """

    evidence: Any
    group: PrunableGroup

    @property
    def random(self) -> torch.Tensor:
        """`[K]` uniform draws."""
        return self.evidence.random[self.group.name]

    @property
    def incoming_weight(self) -> torch.Tensor:
        """`[K, incoming weights of a unit]`."""
        return self.group.incoming_weight(self.evidence.network)

    @property
    def outgoing_weight(self) -> torch.Tensor:
        """`[consumer's outputs, K * unit_size]`."""
        return self.group.outgoing_weight(self.evidence.network)

    @property
    def alive(self) -> torch.Tensor:
        """`[K]` bool on the CPU: units that were not dropped before."""
        if self.group.masked_by is None:
            return torch.ones(self.group.num_units, dtype=torch.bool)
        return self.evidence.network.get_buffer(f"{self.group.masked_by}.mask").cpu()
