"""Runs a learning-rate schedule through again in every phase of retraining."""

from __future__ import annotations

from bisect import bisect_right


def rewind_learning_rate(scheduler, restarts: list[int], max_steps: int) -> None:
    """
    Makes `scheduler` go through the whole of its shape, warm-up and decay, once up to the first of `restarts` as it
    would have, and then again between each and the next, the last one ending at `max_steps`.

    The rate stays a function of the step alone, so a resumed run has the same rates.

    Args:
        scheduler (`torch.optim.lr_scheduler.LambdaLR`): The Trainer's scheduler.
        restarts (`list[int]`): Optimizer steps, ascending.
        max_steps (`int`): Optimizer steps of the whole training.

    Raises:
        `ValueError`: if the scheduler is not a function of the step.
    """
    if not hasattr(scheduler, "lr_lambdas"):
        raise ValueError(
            f"rewind_learning_rate=True: {type(scheduler).__name__} is not a function of the step; "
            "use a schedule such as linear or cosine."
        )
    ends = [*restarts[1:], max_steps]

    def restarted(shape):
        def rate(step: int) -> float:
            phase = bisect_right(restarts, step) - 1
            if phase < 0:
                return shape(step)
            start, end = restarts[phase], ends[phase]
            return shape(round((step - start) * max_steps / (end - start)))

        return rate

    scheduler.lr_lambdas = [restarted(shape) for shape in scheduler.lr_lambdas]
