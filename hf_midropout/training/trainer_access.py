"""The Trainer that a callback works in."""

from __future__ import annotations

import inspect
import weakref

from transformers import Trainer


class TrainerReference:
    """
    A Trainer hands its callbacks the model, the optimizer and the training data, but neither its `log`, which is what
    reaches TensorBoard and the like, nor the evaluation data before the first evaluation.

    Args:
        trainer ([`~transformers.Trainer`], *optional*): The one. If it is not given, it is looked up once, among the
            callers of the first event: a callback is made before its Trainer, which it can then not be told.
    """

    def __init__(self, trainer: Trainer | None = None):
        self._given = trainer is not None
        self._trainer = weakref.ref(trainer) if trainer is not None else None

    def find(self) -> Trainer:
        """The Trainer whose event is being handled; to be called when one begins, as an object may serve several."""
        if not self._given:
            self._trainer = weakref.ref(calling_trainer())
        return self.get()

    def get(self) -> Trainer:
        """
        The Trainer that was found last.

        Raises:
            `RuntimeError`: if there is none.
        """
        trainer = self._trainer() if self._trainer is not None else None
        if trainer is None:
            raise RuntimeError("MIDropoutCallback works inside a transformers.Trainer; none is running.")
        return trainer


def calling_trainer() -> Trainer:
    """The Trainer among the callers; `RuntimeError` if there is none."""
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, Trainer):
            return caller
        frame = frame.f_back
    raise RuntimeError("MIDropoutCallback works inside a transformers.Trainer; none is running.")
