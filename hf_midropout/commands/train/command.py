"""`hf-midropout train`: the whole job, from a dataset to a compact checkpoint with its report."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...pruning.config import MIDropoutConfig
from ...training.launcher import check_processes, launch
from ...training.output_folder import OutputFolder
from ...training.output_place import check_place
from ...utils.listing import listed
from ...utils.narration import tell
from ...utils.processes import disconnect, is_alone, on_main_process
from ...utils.terminal import folded
from ..options.data import load_data
from ..options.names import options_named
from ..options.parser import command_parser
from ..output.narrating import narrate
from .arguments import DEFAULTS, GROUPS, TrainArguments
from .checks import check_options, check_resumed
from .command_line import HIDDEN, command_line, published_command
from .dense import check_comparison
from .ending import Progress, ending_told
from .trainer_options import training_help, training_option_names


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        (TrainArguments, MIDropoutConfig),
        "train",
        "Trains a text classifier, scores every neuron of its head by the mutual information (bits) "
        "between the neuron and the label, drops the neurons that carry the least, goes on training, and saves the "
        "smaller model with a JSON report and figures. Without options: built-in data and a tiny model, "
        "no network. Each other field of transformers.TrainingArguments is an option too, such as --logging_steps 50; "
        "--help_all lists them.",
        GROUPS,
        hidden=HIDDEN,
        more=training_option_names,
        more_help=lambda: training_help(DEFAULTS),
        from_files=True,
    )


def main(args: TrainArguments, config: MIDropoutConfig) -> Path | None:
    """
    Runs the job, in this process or, with `accelerate_config`, in others.

    Returns:
        `Path`: the folder of the compact checkpoint; `None` if other processes ran the job.

    Raises:
        `ValueError`: for options or data that make no sense, before any training.
        `OSError`: for a model or dataset that cannot be read, or an output folder that cannot be written.
    """
    check_options(args)
    check_comparison(args, config)
    narrate(args)
    config = replace(config, seed=args.seed)
    given = {f"--{name}": getattr(args, name) for name in ("model", "dataset", "accelerate_config")}
    path = check_place(args.output_dir, given)
    args = resolved(replace(args, output_dir=str(path)))
    output = OutputFolder(path, overwrite=args.overwrite_output_dir, resume=args.resume is not None)
    progress = Progress(output)
    with ending_told(progress):
        if args.accelerate_config:
            with output:  # what is refused here is refused before processes start
                check_resumed(args, output.checkpoint)
            progress.launched = True
            launch(["train", *command_line(args, config)], args.accelerate_config, args.accelerate or [])
            return None
        with ExitStack() as stack:
            folder = train(args, config, output, progress, stack)
        disconnect()
        return folder


def train(args: TrainArguments, config, output: OutputFolder, progress: Progress, stack: ExitStack) -> Path:
    """The job in this process; the main process holds `output` until `stack` is unwound."""
    from .model import find_model, tokenizer_and_model
    from .trainer_arguments import training_arguments

    def hold() -> tuple[str | None, dict[str, str]]:
        stack.push(output)  # first: a signal between entering and noting that would leave the folder behind
        output.__enter__()
        check_resumed(args, output.checkpoint)
        return output.checkpoint, output.skipped

    if is_alone():
        hold()
    model_folder, model_source = find_model(args)
    arguments = training_arguments(args)
    check_processes(arguments.world_size)
    checkpoint, skipped = (output.checkpoint, output.skipped) if is_alone() else on_main_process(hold)
    started = time.perf_counter()

    from transformers import DataCollatorWithPadding, Trainer, set_seed

    from ...metrics import compute_metrics
    from ...training.callback import MIDropoutCallback
    from ...training.dense_run import SharedPhase
    from .checkpoint_names import CheckpointNames, check_checkpoint_fits
    from .dense import check_trainer, train_dense
    from .lines import show_lines

    with arguments.main_process_first(desc="loading the data"):
        data = load_data(
            args,
            validation_fraction=args.validation_fraction,
            max_train_samples=args.max_train_samples,
            max_eval_samples=args.max_eval_samples,
            seed=args.seed,
        )
    tell_data(data)
    for name, reason in skipped.items():
        tell(f"{name} is skipped: {reason}")
    if checkpoint:
        tell(f"Going on from {checkpoint}.")
    with options_named(type(args), type(config)):
        config.check_classes(len(data.label_names))

    def make_model():
        set_seed(args.seed)
        return tokenizer_and_model(args, model_folder, data)

    tokenizer, model = make_model()
    tell(f"Model: {args.model or 'a tiny ALBERT, made on the spot'}, {model.num_parameters():,} parameters")
    with arguments.main_process_first(desc="tokenizing"):
        tokenized = data.tokenize(tokenizer, args.max_length)
    if checkpoint:
        check_checkpoint_fits(Path(checkpoint), model, config.targets)

    callback = MIDropoutCallback(config)
    shared = [SharedPhase(callback, output)] if args.compare else []
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=tokenized["train"],
        eval_dataset=tokenized["validation"],
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=[callback, *shared, CheckpointNames(output)],
    )
    show_lines(trainer, "training")
    if args.compare:
        check_trainer(trainer)
    on_main_process(output.begin)
    progress.trainer = trainer
    training_started = time.perf_counter()
    with options_named(type(args), type(config)):
        trainer.train(resume_from_checkpoint=checkpoint)
    seconds = {"preparation": training_started - started, "training": time.perf_counter() - training_started}
    if callback.record is None:
        raise ValueError(f"Training ended without a record of scores in {args.output_dir}: give a smaller --start.")
    dense = None
    if args.compare and callback.record.selection is None:
        tell("No neuron was dropped, so there is no dense training to compare with: it would be the same.")
    elif args.compare:
        training_started = time.perf_counter()
        assert callback.first_step is not None  # of a training that is over
        dense = train_dense(args, config, output, lambda: make_model()[1], trainer, callback.first_step, progress)
        seconds["dense training"] = time.perf_counter() - training_started
    from .finish import finish

    command = published_command(args, config, model_source, data.source)
    return finish(args, model_source, output, data, tokenized, trainer, callback.record, seconds, dense, command)


def tell_data(data) -> None:
    """What was loaded."""
    rows = ", ".join(f"{len(split):,} {name}" for name, split in data.splits.items())
    told = f"Data: {data.name}, {len(data.label_names):,} classes ({listed(data.label_names)}); rows: {rows}"
    tell(folded(told, "  "))
    for note in data.notes:
        tell(folded(f"  {note}", "    "))


def resolved(args: TrainArguments) -> TrainArguments:
    """The options with the defaults that depend on whether a model was named."""
    defaults: dict[str, Any] = {"max_length": 128, "learning_rate": 1e-4}
    if args.model is None:
        defaults = {"max_length": 64, "learning_rate": 1e-3}
    return replace(args, **{name: value for name, value in defaults.items() if getattr(args, name) is None})
