"""`hf-midropout train --compare dense`: the same training without pruning, resumable as the other one is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...training.output_folder import OutputFolder
from ...training.resuming import find_last_whole
from ...training.run_record import DENSE
from ...utils.narration import tell
from ...utils.processes import on_main_process
from .arguments import TrainArguments


if TYPE_CHECKING:
    from ...pruning.comparison.predictions import Predictions
    from ...pruning.config import MIDropoutConfig


@dataclass
class Dense:
    """The network that was not pruned (`model`), and the optimizer steps that both share (`shared_steps`)."""

    model: Any
    shared_steps: int


def check_comparison(args: TrainArguments, config: MIDropoutConfig) -> None:
    """`ValueError` for a dense training beside one that would be the same."""
    if args.compare and config.action == "none":
        raise ValueError("--compare dense has no effect with --action none: nothing is pruned, so the run is dense.")


def check_trainer(trainer) -> None:
    """`ValueError` where a second training in the same processes cannot be had."""
    kind = "FSDP" if trainer.is_fsdp_enabled else "DeepSpeed" if trainer.is_deepspeed_enabled else None
    if kind is not None:
        raise ValueError(
            f"--compare dense with {kind} is not supported: train once more with --action none, the same seed and "
            "another --output_dir."
        )


def train_dense(
    args: TrainArguments,
    config: MIDropoutConfig,
    output: OutputFolder,
    make_model: Callable[[], Any],
    trainer,
    first_step: int,
    progress,
) -> Dense:
    """
    Trains without pruning, from the checkpoint that the two trainings share if there is one, or from the last of an
    interrupted dense training. To be called on every process.

    Args:
        make_model (`Callable`): Gives the model that training starts from, as the other training had it.
        trainer ([`~transformers.Trainer`]): Of the other training, which is over.
        first_step (`int`): The step after which that one first scored neurons.
        progress ([`Progress`]): Is told of the new Trainer.
    """
    from transformers import Trainer

    from ...training.callback import MIDropoutCallback
    from .checkpoint_names import check_checkpoint_fits
    from .lines import show_lines
    from .trainer_arguments import training_arguments

    folder = output.path / DENSE
    on_main_process(lambda: output.writes(DENSE))
    checkpoint = on_main_process(lambda: find_last_whole(folder)[0])
    arguments = training_arguments(replace(args, output_dir=str(folder), report_to=["none"]))
    arguments.push_to_hub, arguments.report_to = False, []  # these are of the pruned one
    model = make_model()
    if checkpoint:
        check_checkpoint_fits(Path(checkpoint), model)
    callbacks = []
    if args.head_regularizer == "drop_mi":  # which needs the bits of its neurons
        only_scores = type(config)(
            action="none", start=config.start, score_samples=config.score_samples, seed=config.seed, baselines=False
        )
        callbacks = [MIDropoutCallback(only_scores)]
    dense = Trainer(
        model=model,
        args=arguments,
        data_collator=trainer.data_collator,
        train_dataset=trainer.train_dataset,
        eval_dataset=trainer.eval_dataset,
        processing_class=trainer.processing_class,
        compute_metrics=trainer.compute_metrics,
        callbacks=callbacks,
    )
    show_lines(dense, "dense training")
    done = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
    tell(f"Dense training, to compare with: without pruning, from step {done:,} of {trainer.state.max_steps:,}")
    progress.trainer, progress.what = dense, "the dense training"
    dense.train(resume_from_checkpoint=checkpoint)
    model = dense.accelerator.unwrap_model(dense.model, keep_fp32_wrapper=False)
    return Dense(model.eval(), min(done, first_step - 1))


def predictions_of(model, batches) -> Predictions:
    """Of a model with a head, on labelled rows; to be called on every process."""
    import torch

    from ...pruning.comparison.predictions import Predictions
    from ...pruning.head.inputs import collect_head_inputs

    rows = collect_head_inputs(model, batches, progress=False).labelled()
    return Predictions(torch.from_numpy(rows.logits(model.classifier)), rows.labels.long())
