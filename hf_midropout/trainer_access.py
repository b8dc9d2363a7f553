"""The Trainer that a callback runs under."""

from __future__ import annotations

import inspect

from transformers import Trainer


def calling_trainer() -> Trainer:
    """
    The Trainer whose event is being handled.

    A callback is given the model, the optimizer and the training data, but neither the Trainer's `log`, which is what
    reaches TensorBoard and the like, nor the evaluation data before the first evaluation. Rather than make users pass
    the Trainer to a callback that the Trainer is made with, look it up among the callers: every event is fired from a
    method of the Trainer.

    Raises:
        `RuntimeError`: if no Trainer is among the callers.
    """
    frame = inspect.currentframe()
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, Trainer):
            return caller
        frame = frame.f_back
    raise RuntimeError("MIDropoutCallback works inside a transformers.Trainer; none is running.")
