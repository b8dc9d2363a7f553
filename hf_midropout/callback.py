"""The callback that scores and drops neurons in the middle of a training: *when*, and little else."""

from __future__ import annotations

import logging
import time
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState
from transformers.trainer_utils import has_length

from .decision import Decision, decide_once
from .evidence import Evidence
from .head import HeadNetwork
from .head_evaluation import HeadInputCollector, HeadInputs, collect_head_inputs
from .inference import Batches, FixedBatches, frozen_inference
from .learning_rate import restart_learning_rate
from .midropout_config import SEARCH, MIDropoutConfig
from .problem_types import check_dataset, find_problem_type
from .progress import PruningProgress
from .pruning import act, is_pruned
from .pruning_record import PruningRecord, PruningRound
from .scores import NeuronScores
from .scoring import score_neurons
from .sharding import check_trainer, full_module
from .taps import masked_layers
from .trainer_access import calling_trainer
from .trainer_data import (
    UnusableData,
    check_batches,
    check_can_be_read_again,
    check_labelled,
    training_batches,
    validation_batches,
)


HEAD_ROWS = 10_000
"""Training rows whose head inputs are kept for criteria and refits: beyond that, scores go on at constant memory."""

logger = logging.getLogger(__name__)


class MIDropoutCallback(TrainerCallback, ExportableState):
    """
    MI-Dropout inside a plain [`~transformers.Trainer`]: after an initial phase it scores every neuron of the head by
    its mutual information with the label, drops the neurons that carry too little, and lets training go on. At the end
    it scores again. Bits per layer and, if the Trainer has an `eval_dataset`, the metrics before and after go through
    the Trainer's own logging; `midropout_record.json` in the output folder holds everything.

    What happened so far is in every checkpoint, beside the masks, so that a resumed training goes on as it would have.
    One object serves one training at a time; a new `train()` starts from nothing.

    Args:
        config ([`MIDropoutConfig`] or `dict`, *optional*): When and what to drop.

    Attributes:
        record ([`PruningRecord`], *optional*): What happened, once it has.

    Raises:
        `ValueError`: when training begins, for a configuration that does not fit the model, the data or the training.

    Example:

    ```python
    trainer = Trainer(model, args, train_dataset=train, callbacks=[MIDropoutCallback(MIDropoutConfig(keep=0.25))])
    ```
    """

    def __init__(self, config: MIDropoutConfig | dict[str, Any] | None = None):
        # A dictionary is what a checkpoint holds, see `state`.
        self.config = MIDropoutConfig(**config) if isinstance(config, dict) else config or MIDropoutConfig()
        self._progress: PruningProgress | None = None
        self._training: Batches | None = None
        self._validation: Batches | None = None
        self._running = False

    @property
    def record(self) -> PruningRecord | None:
        """What happened in the last training, or up to now; `None` if no neuron was scored."""
        return self._progress.record if self._progress else None

    def state(self) -> dict[str, Any]:
        # The masks and drop rates are in the weights; this is what else a resumed training has to know.
        progress = self._progress.to_dict() if self._progress else None
        return {"args": {"config": self.config.to_dict()}, "attributes": {"saved_progress": progress}}

    def on_init_end(self, args, state, control, **kwargs):
        check_trainer(calling_trainer())  # before weights are sharded, where some settings fail in obscure ways

    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, lr_scheduler=None, **kwargs):
        trainer = calling_trainer()
        self._check(trainer, model)
        self._prepare_data(trainer, model, train_dataloader)
        steps_per_epoch = None
        if has_length(train_dataloader):
            steps_per_epoch = -(-len(train_dataloader) // args.gradient_accumulation_steps)
        self._progress = self._begin(trainer, state, steps_per_epoch, is_pruned(model))
        self._running = True
        if self.config.restart_learning_rate:
            restart_learning_rate(lr_scheduler, self._progress.steps, state.max_steps)
        # The Trainer fails at its next checkpoint if the state it resumed from lacks one of its callbacks.
        state.stateful_callbacks[type(self).__name__] = self.state()

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

    def _check(self, trainer, model) -> None:
        check_trainer(trainer)
        if sum(isinstance(callback, MIDropoutCallback) for callback in trainer.callback_handler.callbacks) > 1:
            raise ValueError("The Trainer has more than one MIDropoutCallback: they would drop each other's neurons.")
        masked_layers(model)
        self.config.check_classes(model.config.num_labels)
        problem_type = find_problem_type(model.config)
        if problem_type != "single_label_classification":
            raise ValueError(
                f"problem_type={problem_type!r}: networks are compared by accuracy, so neurons are dropped for "
                "'single_label_classification' only; score_neurons scores the others."
            )
        if next(model.parameters()).dtype == torch.float16:
            raise ValueError(
                "The model's weights are float16, in which optimizers diverge: load it with dtype=torch.float32 "
                "(and train with bf16=True or fp16=True for speed)."
            )

    def _prepare_data(self, trainer, model, train_dataloader) -> None:
        """Finds the rows to score and to compare on, and tries a batch of each."""
        check_can_be_read_again(getattr(train_dataloader, "dataset", train_dataloader))
        self._training = training_batches(trainer, model, self.config, train_dataloader)
        if isinstance(self._training, FixedBatches):
            check_dataset(self._training.dataset, model.config.num_labels)
        elif self.config.max_samples is None:
            raise ValueError("max_samples=None: a stream may not end; give the number of rows to score.")
        try:
            check_batches(self._training, model, model.config.num_labels)
        except UnusableData as error:
            raise ValueError(f"The training rows cannot be scored: {error}") from error
        searches = self.config.threshold == SEARCH and self.config.action != "none"
        try:
            self._validation = validation_batches(trainer, model, self.config)
            if self._validation is not None:
                check_batches(self._validation, model, model.config.num_labels)
        except UnusableData as error:
            if searches:
                raise ValueError(
                    f"threshold='search' compares networks on validation rows, which cannot be used: {error}"
                ) from error
            self._without_validation(error)
        if searches and self._validation is None:
            raise ValueError("threshold='search' compares networks on validation rows: give an eval_dataset.")

    def _without_validation(self, error: Exception) -> None:
        logger.warning(
            "The validation rows cannot be used: %s Training and pruning go on; the report will lack metrics and "
            "controls.",
            error,
        )
        self._validation = None

    def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
        progress = self._progress
        assert progress is not None  # since training began
        if state.global_step not in progress.steps[progress.rounds_done :][:1]:
            return
        started = time.perf_counter()
        trainer = calling_trainer()
        keep = self.config.round_keeps[progress.rounds_done]
        if progress.record is None:
            progress.record = PruningRecord(self.config.to_dict(), state.max_steps)
        collector = HeadInputCollector(model, max_batches=-(-HEAD_ROWS // args.per_device_eval_batch_size))
        with collector:
            this_round = PruningRound(state.global_step, self._score(trainer, model, observe=collector.observe))
        training, validation = collector.gather(), self._head_inputs(trainer, model)
        head = full_module(model.classifier, model.config)
        if validation is not None:
            this_round.validation = {"rows": len(validation.labels), "before_pruning": validation.metrics(head)}
        if self.config.action != "none":
            evidence = Evidence(this_round.scores, HeadNetwork(head), training, self.config.seed)
            if validation is None and self.config.threshold == SEARCH:
                decision = Decision(refused="threshold='search' needs validation rows, which could not be read.")
            else:
                with frozen_inference(model):
                    decision = decide_once(self.config, evidence, validation, keep)
            this_round.refused, this_round.controls = decision.refused, decision.controls
            this_round.sweep = decision.sweep.to_dict() if decision.sweep else None
            if decision.selection is None:
                logger.warning("%s Nothing is dropped; training goes on with all neurons.", decision.refused)
            else:
                this_round.selection = decision.selection
                act(model, decision, self.config, optimizer)
                # A best checkpoint from before would bring the dropped neurons back under `load_best_model_at_end`.
                state.best_metric = state.best_global_step = state.best_model_checkpoint = None
            if validation is not None:
                head = full_module(model.classifier, model.config)
                this_round.validation["after_pruning"] = validation.metrics(head)
        this_round.seconds = {"scoring": this_round.scores.seconds, "total": time.perf_counter() - started}
        progress.record.rounds.append(this_round)
        progress.record.max_steps = state.max_steps
        self._publish(trainer, progress.record)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        self._running = False
        progress = self._progress
        assert progress is not None  # since training began
        if progress.record is None:
            logger.warning(
                "MIDropoutCallback never fired: training ended at step %d of %d, and neurons were to be scored after "
                "step %d. Nothing was dropped.",
                state.global_step, state.max_steps, progress.steps[0],
            )  # fmt: skip
            return
        trainer = calling_trainer()
        progress.record.after = self._score(trainer, model)
        validation = self._head_inputs(trainer, model)
        if validation is not None:
            progress.record.after_retraining = validation.metrics(full_module(model.classifier, model.config))
        self._publish(trainer, progress.record)

    def _score(self, trainer, model, observe=None) -> NeuronScores:
        return score_neurons(model, self._training, progress=not trainer.args.disable_tqdm, observe=observe)

    def _head_inputs(self, trainer, model) -> HeadInputs | None:
        """The validation rows as the head receives them; `None` if there are none, or they cannot be read now."""
        if self._validation is None:
            return None
        try:
            inputs = collect_head_inputs(model, self._validation, progress=not trainer.args.disable_tqdm)
        except Exception as error:
            if PartialState().num_processes > 1:
                raise  # the other processes wait for this one
            self._without_validation(error)
            return None
        try:  # all processes have the same rows by now
            check_labelled(inputs.labels, model.config.num_labels)
        except ValueError as error:
            self._without_validation(error)
            return None
        return inputs

    def _publish(self, trainer, record: PruningRecord) -> None:
        if trainer.is_world_process_zero():
            record.save(trainer.args.output_dir)
        ended = record.after is not None
        logs: dict[str, float] = {}
        for layer in record.layers():
            key = "mean_bits_after_of_kept" if ended else "mean_bits_before"
            logs[f"midropout/{'after' if ended else 'before'}/bits/{layer['name']}"] = layer[key]
            logs[f"midropout/{'after' if ended else 'before'}/neurons_kept/{layer['name']}"] = layer["kept"]
        moments = {"after_retraining": record.after_retraining} if ended else record.rounds[-1].validation
        for moment, values in moments.items():
            if isinstance(values, dict):
                logs |= {f"midropout/{moment}/{name}": value for name, value in values.items()}
        # `log` clears the flag by which the Trainer, later in this step, would log its own loss.
        should_log = trainer.control.should_log
        trainer.log(logs)
        trainer.control.should_log = should_log

    def on_push_begin(self, args, state, control, **kwargs):
        from .trainer_push import prepare_push

        prepare_push(calling_trainer(), self.record)
