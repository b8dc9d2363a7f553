"""The callback that scores and drops neurons in the middle of a training: *when*, and little else."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from .criteria import Evidence
from .decision import decide_once
from .head_evaluation import HeadInputCollector, HeadInputs, collect_head_inputs
from .inference import batches_for, frozen_inference
from .learning_rate import restart_learning_rate
from .midropout_config import SEARCH, MIDropoutConfig
from .problem_types import check_dataset, find_problem_type
from .pruning import act, is_pruned
from .pruning_record import PruningRecord, PruningRound
from .scores import NeuronScores
from .scoring import score_neurons
from .sharding import check_trainer, full_module
from .taps import masked_layers
from .trainer_access import calling_trainer


HEAD_ROWS = 10_000
"""Training rows whose head inputs are kept for criteria and refits: beyond that, scores go on at constant memory."""

logger = logging.getLogger(__name__)


class MIDropoutCallback(TrainerCallback, ExportableState):
    """
    MI-Dropout inside a plain [`~transformers.Trainer`]: after an initial phase it scores every neuron of the head by
    its mutual information with the label, drops the neurons that carry too little, and lets training go on. At the end
    it scores again. Bits per layer and, if the Trainer has an `eval_dataset`, the metrics before and after go through
    the Trainer's own logging; `midropout_record.json` in the output folder holds everything.

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
        self.record: PruningRecord | None = None
        self._steps: list[int] = []

    def state(self) -> dict[str, Any]:
        # Whether neurons have been dropped is not kept here but in the masks: they are always restored, this is not.
        return {"args": {"config": self.config.to_dict()}, "attributes": {}}

    def on_init_end(self, args, state, control, **kwargs):
        check_trainer(calling_trainer())  # before weights are sharded, where some settings fail in obscure ways

    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, lr_scheduler=None, **kwargs):
        trainer = calling_trainer()
        self._check(trainer, model)
        steps_per_epoch = None
        if hasattr(trainer.train_dataset, "__len__"):
            steps_per_epoch = math.ceil(len(train_dataloader) / args.gradient_accumulation_steps)
        self._steps = self.config.round_steps(state.max_steps, steps_per_epoch)
        if self.config.restart_learning_rate:
            restart_learning_rate(lr_scheduler, self._steps, state.max_steps)
        if state.global_step >= self._steps[0]:
            self.record = PruningRecord.load(args.output_dir, last_step=state.global_step)
            if self.record is None:
                logger.warning(
                    "Training goes on after step %d, where neurons were scored, but %s holds no record of it: the "
                    "report will lack it. The dropped neurons stay dropped.",
                    self._steps[0], args.output_dir,
                )  # fmt: skip
        elif is_pruned(model):
            raise ValueError("The model already has dropped neurons: start from its compact() form.")

    def _check(self, trainer, model) -> None:
        check_trainer(trainer)
        masked_layers(model)
        self.config.check_classes(model.config.num_labels)
        problem_type = find_problem_type(model.config)
        if problem_type != "single_label_classification":
            raise ValueError(
                f"problem_type={problem_type!r}: networks are compared by accuracy, so neurons are dropped for "
                "'single_label_classification' only; score_neurons scores the others."
            )
        check_dataset(trainer.train_dataset, model.config.num_labels)
        if not hasattr(trainer.train_dataset, "__len__") and self.config.max_samples is None:
            raise ValueError("max_samples=None: a stream may not end; give the number of rows to score.")
        if self.config.threshold == SEARCH and self.config.action != "none" and trainer.eval_dataset is None:
            raise ValueError("threshold='search' compares networks on validation rows: give an eval_dataset.")
        if next(model.parameters()).dtype == torch.float16:
            raise ValueError(
                "The model's weights are float16, in which optimizers diverge: load it with dtype=torch.float32 "
                "(and train with bf16=True or fp16=True for speed)."
            )

    def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
        if state.global_step not in self._steps:
            return
        started = time.perf_counter()
        trainer = calling_trainer()
        keep = self.config.round_keeps[self._steps.index(state.global_step)]
        if self.record is None:
            self.record = PruningRecord(self.config.to_dict(), state.max_steps)
        collector = HeadInputCollector(model, max_batches=-(-HEAD_ROWS // args.per_device_eval_batch_size))
        with collector:
            this_round = PruningRound(state.global_step, self._score(trainer, model, observe=collector.observe))
        training, validation = collector.gather(), self._head_inputs(trainer, model)
        head = full_module(model.classifier, model.config)
        if validation is not None:
            this_round.validation = {"rows": len(validation.labels), "before_pruning": validation.metrics(head)}
        if self.config.action != "none":
            evidence = Evidence(this_round.scores, head, training, self.config.seed)
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
        self.record.rounds.append(this_round)
        self._publish(trainer, self.record)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        if self.record is None:
            if state.global_step < self._steps[0]:
                logger.warning(
                    "MIDropoutCallback never fired: training ended at step %d of %d, and neurons were to be scored "
                    "after step %d. Nothing was dropped.",
                    state.global_step, state.max_steps, self._steps[0],
                )  # fmt: skip
            return
        trainer = calling_trainer()
        self.record.after = self._score(trainer, model)
        validation = self._head_inputs(trainer, model)
        if validation is not None:
            self.record.after_retraining = validation.metrics(full_module(model.classifier, model.config))
        self._publish(trainer, self.record)

    def _score(self, trainer, model, observe=None) -> NeuronScores:
        return score_neurons(
            model,
            trainer.train_dataset,
            collate_fn=trainer.data_collator,
            remove_unused_columns=trainer.args.remove_unused_columns,
            batch_size=trainer.args.per_device_eval_batch_size,
            max_samples=self.config.max_samples,
            seed=self.config.seed,
            progress=not trainer.args.disable_tqdm,
            observe=observe,
        )

    def _head_inputs(self, trainer, model) -> HeadInputs | None:
        dataset = trainer.eval_dataset
        if isinstance(dataset, dict):
            dataset = next(iter(dataset.values()), None)
        if dataset is None:
            return None
        batches = batches_for(
            model,
            dataset,
            trainer.args.per_device_eval_batch_size,
            trainer.data_collator,
            remove_unused_columns=trainer.args.remove_unused_columns,
        )
        return collect_head_inputs(model, batches, progress=not trainer.args.disable_tqdm)

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
