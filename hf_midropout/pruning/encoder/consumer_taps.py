"""What goes into a group's consumer, comes out of it, and is added to it."""

from __future__ import annotations

from torch import nn

from ...groups import PrunableGroup


class ConsumerTaps:
    """
    Context manager: what a group's consumer reads and gives, and the input that its output is added to.

    Args:
        model (`nn.Module`): The network.
        group ([`PrunableGroup`]): With a `residual`.
    """

    def __init__(self, model: nn.Module, group: PrunableGroup):
        self.consumer = model.get_submodule(group.consumer)
        self.around = model.get_submodule(str(group.residual))

    def __enter__(self) -> ConsumerTaps:
        def consumed(module, args, output):
            self.units, self.output = args[0], output

        def added_to(module, args):
            self.residual = args[0]

        self._handles = [
            self.consumer.register_forward_hook(consumed),
            self.around.register_forward_pre_hook(added_to),
        ]
        return self

    def __exit__(self, *exception) -> None:
        for handle in self._handles:
            handle.remove()
