"""The callback that scores and drops neurons in the middle of a training: *when*, and little else."""

from __future__ import annotations

import copy
import logging
from typing import Any

from transformers import Trainer, TrainerCallback
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import has_length

from ..groups.sharding import check_trainer
from ..pruning.config import MIDropoutConfig
from ..pruning.head.apply import is_pruned
from ..pruning.record.training import PruningRecord
from ..pruning.steps.data_checks import check_can_be_read_again, check_training, usable_validation
from ..pruning.steps.head import refresh_information
from ..pruning.steps.progress import PruningProgress
from ..pruning.steps.prune_model import check_prunable, prune_once, score_again, validation_metrics
from ..scoring.batches import Batches
from .distillation import Distillation, check_can_distill, check_place, load_teacher, save_teacher
from .events import bars_shown, scored, tell_event
from .learning_rate import rewind_learning_rate
from .live_cutting import after_cutting, check_can_cut
from .narrow_checkpoints import fit_to_checkpoints
from .trackers import log_bits, log_config, log_to_trackers
from .trainer_access import TrainerReference
from .trainer_data import training_batches, validation_batches


logger = logging.getLogger(__name__)


class MIDropoutCallback(TrainerCallback, ExportableState):
    """
    MI-Dropout inside a plain [`~transformers.Trainer`]: after an initial phase it scores every neuron of the head, or
    of the encoder, by its mutual information with the label, drops the neurons that matter least, and lets training go
    on; neurons of the encoder are removed at once, so that the rest of the training is faster. At the end
    it scores again. Bits per layer and, if the Trainer has an `eval_dataset`, the metrics before and after go through
    the Trainer's own logging; `midropout_record.json` in the output folder, with the values per neuron beside it in
    `midropout_record.safetensors`, holds everything.

    What happened so far is in every checkpoint, beside the masks, so that a resumed training goes on as it would have.
    One object serves one training at a time; a new `train()` starts from nothing.

    Args:
        config ([`MIDropoutConfig`] or `dict`, *optional*): When and what to drop.
        trainer ([`~transformers.Trainer`], *optional*): The one to work in, for `trainer.add_callback`. By default the
            one whose event comes first.

    Attributes:
        record ([`PruningRecord`], *optional*): What happened, once it has.

    Raises:
        `ValueError`: when training begins, for a configuration that does not fit the model, the data or the training.

    Example:

    ```python
    trainer = Trainer(model, args, train_dataset=train, callbacks=[MIDropoutCallback(MIDropoutConfig(keep=0.25))])
    ```
    """

    def __init__(self, config: MIDropoutConfig | dict[str, Any] | None = None, trainer: Trainer | None = None):
        # A dictionary is what a checkpoint holds, see `state`.
        self.config = MIDropoutConfig(**config) if isinstance(config, dict) else config or MIDropoutConfig()
        self._trainer = TrainerReference(trainer)
        if trainer is not None:  # `add_callback` tells no one that the Trainer was made
            self._prepare(trainer)
        self._progress: PruningProgress | None = None
        self._training: Batches | None = None
        self._validation: Batches | None = None
        self._distillation: Distillation | None = None
        self._running = False
        self._config_logged = False

    @property
    def record(self) -> PruningRecord | None:
        """What happened in the last training, or up to now; `None` if no neuron was scored."""
        return self._progress.record if self._progress else None

    @property
    def first_step(self) -> int | None:
        """The optimizer step after which neurons are first scored; `None` before training began."""
        return self._progress.steps[0] if self._progress else None

    def state(self) -> dict[str, Any]:
        # The masks and drop rates are in the weights; this is what else a resumed training has to know.
        progress = self._progress.to_dict() if self._progress else None
        return {"args": {"config": self.config.to_dict()}, "attributes": {"saved_progress": progress}}

    def on_init_end(self, args, state, control, **kwargs):
        self._prepare(self._trainer.find())

    def _prepare(self, trainer: Trainer) -> None:
        check_trainer(trainer)  # before weights are sharded, where some settings fail in obscure ways
        if self.config.targets != "head":
            fit_to_checkpoints(trainer)

    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, lr_scheduler=None, **kwargs):
        trainer = self._trainer.find()
        check_trainer(trainer)
        self._take_the_lead(trainer)
        check_prunable(model, self.config)
        self._check(trainer)
        check_can_be_read_again(getattr(train_dataloader, "dataset", train_dataloader))
        self._training = training_batches(trainer, model, self.config, train_dataloader)
        check_training(self._training, model, self.config)
        self._validation = usable_validation(
            lambda: validation_batches(trainer, model, self.config), model, self.config
        )
        steps_per_epoch = None
        if has_length(train_dataloader):
            steps_per_epoch = -(-len(train_dataloader) // args.gradient_accumulation_steps)
        pruned = self.config.targets != "encoder" and is_pruned(model)
        self._progress = self._begin(trainer, state, steps_per_epoch, pruned)
        teacher = self._progress.teacher
        self._distil(model, None if teacher is None else load_teacher(model, args.output_dir, teacher))
        self._running, self._config_logged = True, False
        if self.config.rewind_learning_rate:
            rewind_learning_rate(lr_scheduler, self._progress.steps, state.max_steps)
        # The Trainer fails at its next checkpoint if the state it resumed from lacks one of its callbacks.
        state.stateful_callbacks[type(self).__name__] = self.state()

    def _check(self, trainer: Trainer) -> None:
        if self.config.targets != "head":
            check_can_cut(trainer, self.config)
        if self.config.distill:
            check_can_distill(trainer)
            check_place(trainer.args.output_dir)

    def _distil(self, model, teacher) -> None:
        """From now on against `teacher`; against none for `None`."""
        if self._distillation is not None:
            self._distillation.detach()
        self._distillation = None
        if teacher is not None:
            self._distillation = Distillation(teacher, self.config.distill, self.config.distill_temperature)
            self._distillation.attach(model)

    def _take_the_lead(self, trainer: Trainer) -> None:
        """Comes before the Trainer's loggers, which close at the end of training, when the last scores are logged."""
        callbacks = trainer.callback_handler.callbacks
        if sum(isinstance(callback, MIDropoutCallback) for callback in callbacks) > 1:
            raise ValueError("The Trainer has more than one MIDropoutCallback: they would drop each other's neurons.")
        callbacks.remove(self)
        callbacks.insert(0, self)

    def _begin(self, trainer, state, steps_per_epoch: float | None, pruned: bool) -> PruningProgress:
        if state.global_step > 0:
            saved = state.stateful_callbacks.get(type(self).__name__) or {}
            saved = saved.get("attributes", {}).get("saved_progress")
            return PruningProgress.resume(
                saved, self.config, state.global_step, state.max_steps, steps_per_epoch, pruned
            )
        if self._running and trainer.args.auto_find_batch_size and self._progress and self._progress.rounds_done:
            logger.warning(
                "The Trainer starts again with a smaller batch; neurons dropped at step %d of the first attempt stay "
                "dropped.",
                self._progress.steps[self._progress.rounds_done - 1],
            )
            return self._progress.replanned(0, state.max_steps)
        if pruned:
            raise ValueError("The model already has dropped neurons: start from its compact() form.")
        return PruningProgress.begin(self.config, state.max_steps, steps_per_epoch)

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        if not self._config_logged:  # by now the trackers have begun
            log_config(self._trainer.get(), self.config)
            self._config_logged = True
        # Not where an epoch ends: a training that goes on from there has to do it too, but from within an epoch not.
        if state.global_step > 0 and float(state.epoch).is_integer():
            assert self._training is not None  # since training began
            refresh_information(model, self._training, progress=bars_shown(args))

    def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
        progress = self._progress
        assert progress is not None and self._training is not None  # since training began
        if self._distillation is not None:
            self._distillation.check_used()
        if state.global_step not in progress.steps[progress.rounds_done :][:1]:
            return
        trainer = self._trainer.get()
        teacher = copy.deepcopy(model) if self.config.distill and self._distillation is None else None
        result = prune_once(
            model,
            self._training,
            self._validation,
            self.config,
            self.config.keep_schedule[progress.rounds_done],
            step=state.global_step,
            optimizer=optimizer,
            previous=progress.record.selection if progress.record else None,
            progress=bars_shown(args),
        )
        if result.selection is not None:
            after_cutting(trainer)
            if teacher is not None:
                self._distil(model, teacher)
                if trainer.is_world_process_zero():
                    progress.teacher = save_teacher(teacher, args.output_dir)
            # A best checkpoint from before would bring the dropped neurons back under `load_best_model_at_end`.
            state.best_metric = state.best_global_step = state.best_model_checkpoint = None
        if not result.validation:
            self._validation = None  # told once
        if progress.record is None:
            progress.record = PruningRecord(self.config.recorded(), state.max_steps)
        progress.record.pruning_steps.append(result)
        progress.record.max_steps = state.max_steps
        self._publish(trainer, progress.record)
        tell_event(trainer, scored(result))

    def on_train_end(self, args, state, control, model=None, **kwargs):
        self._running = False
        self._distil(model, None)
        progress = self._progress
        assert progress is not None  # since training began
        if progress.record is None:
            logger.warning(
                "MIDropoutCallback never fired: training ended at step %d of %d, and neurons were to be scored after "
                "step %d. Nothing was dropped.",
                state.global_step, state.max_steps, progress.steps[0],
            )  # fmt: skip
            return
        assert self._training is not None
        trainer, show = self._trainer.get(), bars_shown(args)
        progress.record.after = score_again(model, self._training, self.config, progress.record.selection, show)
        progress.record.after_retraining = validation_metrics(model, self._validation, self.config, show)
        self._publish(trainer, progress.record)

    def _publish(self, trainer, record: PruningRecord) -> None:
        if trainer.is_world_process_zero():
            record.save(trainer.args.output_dir)
        ended = record.after is not None
        logs: dict[str, float] = {}
        for layer in record.layers():
            bits = layer.mean_bits_after_of_kept if ended else layer.mean_bits_before
            assert bits is not None
            logs[f"midropout/{'after' if ended else 'before'}/bits/{layer.name}"] = bits
            logs[f"midropout/{'after' if ended else 'before'}/neurons_kept/{layer.name}"] = layer.kept
        moments = {"after_retraining": record.after_retraining} if ended else record.pruning_steps[-1].validation
        for moment, values in moments.items():
            if isinstance(values, dict):
                logs |= {f"midropout/{moment}/{name}": value for name, value in values.items()}
        log_to_trackers(trainer, logs)
        log_bits(trainer, record.after if record.after is not None else record.pruning_steps[-1].scores)

    def on_push_begin(self, args, state, control, **kwargs):
        from .pushes import prepare_push

        prepare_push(self._trainer.get(), self.record)
