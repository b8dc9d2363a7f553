"""How far a training's pruning has come: what a checkpoint holds of it, and what is left to do after a resume."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..config import MIDropoutConfig
from ..record.training import PruningRecord


@dataclass
class PruningProgress:
    """
    Args:
        config ([`MIDropoutConfig`]): What was asked for.
        steps (`list[int]`): Optimizer steps after which neurons are scored, those done and those to come.
        max_steps (`int`): Optimizer steps of the training that `steps` are for.
        record ([`PruningRecord`], *optional*): What happened so far; `None` before the first time.
        teacher (`str`, *optional*): SHA-256 of the weights of the network before pruning, if there is distillation.
    """

    config: MIDropoutConfig
    steps: list[int]
    max_steps: int
    record: PruningRecord | None = None
    teacher: str | None = None

    @property
    def rounds_done(self) -> int:
        """Times that neurons were scored so far."""
        return len(self.record.pruning_steps) if self.record else 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready content for a checkpoint's `trainer_state.json`."""
        return {
            "config": self.config.to_dict(),
            "steps": self.steps,
            "max_steps": self.max_steps,
            "record": self.record.to_dict() if self.record else None,
            "teacher": self.teacher,
        }

    @classmethod
    def begin(cls, config: MIDropoutConfig, max_steps: int, steps_per_epoch: float | None) -> PruningProgress:
        """Of a training from its start; `ValueError` as in [`MIDropoutConfig.step_schedule`]."""
        return cls(config, config.step_schedule(max_steps, steps_per_epoch), max_steps)

    @classmethod
    def resume(
        cls,
        saved: dict[str, Any] | None,
        config: MIDropoutConfig,
        step: int,
        max_steps: int,
        steps_per_epoch: float | None,
        pruned: bool,
    ) -> PruningProgress:
        """
        Of a training that goes on from a checkpoint.

        Args:
            saved (`dict`, *optional*): What `to_dict` gave for the checkpoint; `None` if the callback was not there.
            config ([`MIDropoutConfig`]): What is asked for now.
            step (`int`): Optimizer steps done.
            max_steps (`int`): Optimizer steps of the whole training, which may be longer now.
            steps_per_epoch (`float`, *optional*): As in [`MIDropoutConfig.start_step`].
            pruned (`bool`): Whether neurons of the model are dropped.

        Raises:
            `ValueError`: if neurons were dropped under another configuration, or should have been before `step`.
        """
        record = PruningRecord.from_dict(saved["record"]) if saved and saved["record"] else None
        if saved is None or record is None:
            if pruned:
                raise ValueError(
                    f"The checkpoint of step {step} has dropped neurons, but holds no record of MIDropoutCallback: "
                    "start a new training from its compact() form."
                )
            progress = cls.begin(config, max_steps, steps_per_epoch)
            if progress.steps[0] <= step:
                without = "without MIDropoutCallback" if saved is None else f"for {saved['max_steps']} steps"
                raise ValueError(
                    f"start={config.start!r} is step {progress.steps[0]} of {max_steps}, but the checkpoint is of "
                    f"step {step}, trained {without}, and no neuron was scored. Give a start after step {step}, such "
                    f"as {step + 1}, or an earlier checkpoint."
                )
            return progress
        differences = config.differences(saved["config"])
        if differences:
            raise ValueError(
                f"The checkpoint of step {step} was pruned with another configuration: {differences}. Resume with the "
                "same one, or start a new training."
            )
        progress = cls(config, list(saved["steps"]), saved["max_steps"], record, saved["teacher"])
        return progress.replanned(step, max_steps)

    def replanned(self, step: int, max_steps: int) -> PruningProgress:
        """The same; if `max_steps` changed, what is left is spread evenly over the steps after `step`."""
        done, left = self.rounds_done, self.config.pruning_steps - self.rounds_done
        if max_steps == self.max_steps or left == 0:
            return replace(self, max_steps=max_steps)
        to_come = [step + (max_steps - step) * number // (left + 1) for number in range(1, left + 1)]
        if len({step, *to_come}) <= left:
            raise ValueError(
                f"pruning_steps={self.config.pruning_steps}: {left} of them are left, but only {max_steps - step} "
                f"optimizer steps after step {step}; each needs one, and retraining another."
            )
        return replace(self, steps=self.steps[:done] + to_come, max_steps=max_steps)
