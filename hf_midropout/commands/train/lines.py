"""What `hf-midropout train` shows of a training: a line for each evaluation, with the Trainer's bar beneath."""

from __future__ import annotations

from transformers import Trainer
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from ...training.events import bars_shown
from ...utils.narration import tell


class TrainingLines(ProgressCallback):
    """
    The Trainer's own bar, without the dictionaries: those are for trackers.

    Args:
        what (`str`): The training, for the bar.
        bar (`bool`): Whether to show one.
    """

    def __init__(self, what: str, bar: bool):
        super().__init__()
        self.what, self.bar = what, bar
        self.loss: float | None = None

    def on_train_begin(self, args, state, control, **kwargs):
        if self.bar:
            super().on_train_begin(args, state, control, **kwargs)
            if self.training_bar is not None:
                self.training_bar.set_description(self.what)
                self.training_bar.leave = False

    def on_step_end(self, args, state, control, **kwargs):
        if self.bar:
            super().on_step_end(args, state, control, **kwargs)

    def on_prediction_step(self, args, state, control, **kwargs):
        if self.bar:
            super().on_prediction_step(args, state, control, **kwargs)
            if self.prediction_bar is not None:
                self.prediction_bar.leave = False

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.loss = (logs or {}).get("loss", self.loss)

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        super().on_evaluate(args, state, control, **kwargs)
        metrics = metrics or {}
        told = [
            f"{name} {metrics[key]:.4f}"
            for key, name in (("eval_accuracy", "validation accuracy"), ("eval_loss", "loss"))
            if key in metrics
        ]
        if self.loss is not None:
            told.append(f"training loss {self.loss:.4f}")
        tell(f"step {state.global_step:,} of {state.max_steps:,}: {', '.join(told)}")

    def on_train_end(self, args, state, control, **kwargs):
        if self.bar:
            super().on_train_end(args, state, control, **kwargs)


def show_lines(trainer: Trainer, what: str) -> None:
    """Puts lines and a bar in place of what `trainer` would print."""
    for kind in (PrinterCallback, ProgressCallback):
        trainer.remove_callback(kind)
    trainer.add_callback(TrainingLines(what, bar=bars_shown(trainer.args)))
