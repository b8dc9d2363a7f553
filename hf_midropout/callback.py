"""The callback that scores and drops neurons in the middle of a training: *when*, and little else."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import torch
from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from .head_evaluation import HeadInputs, collect_head_inputs
from .inference import batches_for
from .midropout_config import MIDropoutConfig
from .pruning import agree, apply_selection, is_pruned
from .pruning_record import PruningRecord
from .scores import NeuronScores
from .scoring import check_dataset, score_neurons
from .selection import NothingToSelect, select
from .taps import masked_layers
from .trainer_access import calling_trainer


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
        self._start_step = 0

    def state(self) -> dict[str, Any]:
        # Whether neurons have been dropped is not kept here but in the masks: they are always restored, this is not.
        return {"args": {"config": self.config.to_dict()}, "attributes": {}}

    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **kwargs):
        trainer = calling_trainer()
        if args.n_gpu > 1:
            raise ValueError(f"DataParallel over {args.n_gpu} GPUs is not supported: start one process per GPU.")
        masked_layers(model)
        self.config.check_classes(model.config.num_labels)
        if not hasattr(trainer.train_dataset, "__len__"):
            raise ValueError(f"{type(trainer.train_dataset).__name__} has no length: needs a map-style train_dataset.")
        check_dataset(trainer.train_dataset, model.config.num_labels)
        if next(model.parameters()).dtype == torch.float16:
            raise ValueError(
                "The model's weights are float16, in which optimizers diverge: load it with dtype=torch.float32 "
                "(and train with bf16=True or fp16=True for speed)."
            )
        steps_per_epoch = math.ceil(len(train_dataloader) / args.gradient_accumulation_steps)
        self._start_step = self.config.start_step(state.max_steps, steps_per_epoch)
        if state.global_step >= self._start_step:
            self.record = PruningRecord.load(args.output_dir)
        elif is_pruned(model):
            raise ValueError("The model already has dropped neurons: start from its compact() form.")

    def on_step_end(self, args, state, control, model=None, **kwargs):
        if state.global_step != self._start_step or is_pruned(model):
            return
        started = time.perf_counter()
        trainer = calling_trainer()
        record = PruningRecord(self.config.to_dict(), state.global_step, state.max_steps, self._score(trainer, model))
        head_inputs = self._head_inputs(trainer, model)
        if head_inputs is not None:
            record.validation = {
                "rows": len(head_inputs.labels),
                "before_pruning": head_inputs.metrics(model.classifier),
            }
        if self.config.action == "prune":
            self._prune(record, model, state)
            if head_inputs is not None:
                record.validation["after_pruning"] = head_inputs.metrics(model.classifier)
        record.seconds = {"scoring": record.before.seconds, "total": time.perf_counter() - started}
        self._publish(trainer, record)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        if self.record is None:
            logger.warning(
                "MIDropoutCallback never fired: training ended at step %d of %d, and neurons were to be scored after "
                "step %d. Nothing was dropped.",
                state.global_step, state.max_steps, self._start_step,
            )  # fmt: skip
            return
        trainer = calling_trainer()
        self.record.after = self._score(trainer, model)
        head_inputs = self._head_inputs(trainer, model)
        if head_inputs is not None:
            self.record.validation["after_retraining"] = head_inputs.metrics(model.classifier)
        self._publish(trainer, self.record)

    def _score(self, trainer, model) -> NeuronScores:
        return score_neurons(
            model,
            trainer.train_dataset,
            collate_fn=trainer.data_collator,
            remove_unused_columns=trainer.args.remove_unused_columns,
            batch_size=trainer.args.per_device_eval_batch_size,
            max_samples=self.config.max_samples,
            seed=self.config.seed,
            progress=not trainer.args.disable_tqdm,
        )

    def _head_inputs(self, trainer, model) -> HeadInputs | None:
        dataset = trainer.eval_dataset
        if isinstance(dataset, dict):
            dataset = next(iter(dataset.values()), None)
        if dataset is None or not hasattr(dataset, "__len__"):
            return None
        batches = batches_for(
            model,
            dataset,
            trainer.args.per_device_eval_batch_size,
            trainer.data_collator,
            remove_unused_columns=trainer.args.remove_unused_columns,
        )
        return collect_head_inputs(model, batches, progress=not trainer.args.disable_tqdm)

    def _prune(self, record: PruningRecord, model, state) -> None:
        try:
            selection = agree(select(record.before, self.config))
        except NothingToSelect as refusal:
            # A training of hours is not thrown away for a threshold that turned out wrong: it goes on, dense.
            record.refused = str(refusal)
            logger.warning("%s Nothing is dropped; training goes on with all neurons.", refusal)
            return
        record.selection = selection
        apply_selection(model, selection)
        # A best checkpoint from before would bring the dropped neurons back under `load_best_model_at_end`.
        state.best_metric = state.best_global_step = state.best_model_checkpoint = None

    def _publish(self, trainer, record: PruningRecord) -> None:
        self.record = record
        if trainer.is_world_process_zero():
            record.save(trainer.args.output_dir)
        phase = "after" if record.after else "before"
        logs: dict[str, float] = {}
        for layer in record.layers():
            logs[f"midropout/{phase}/bits/{layer['name']}"] = layer[
                "mean_bits_after_of_kept" if record.after else "mean_bits_before"
            ]
            logs[f"midropout/{phase}/neurons_kept/{layer['name']}"] = layer["kept"]
        for moment in ("before_pruning", "after_pruning", "after_retraining"):
            if (moment == "after_retraining") == bool(record.after):
                for name, value in record.validation.get(moment, {}).items():
                    logs[f"midropout/{moment}/{name}"] = value
        # `log` clears the flag by which the Trainer, later in this step, would log its own loss.
        should_log = trainer.control.should_log
        trainer.log(logs)
        trainer.control.should_log = should_log

    def on_push_begin(self, args, state, control, **kwargs):
        from .trainer_push import prepare_push

        prepare_push(calling_trainer(), self.record)
