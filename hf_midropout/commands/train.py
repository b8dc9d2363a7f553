"""`hf-midropout train`: the whole job, from a dataset to a compact checkpoint with its report."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ..launcher import check_processes, launch
from ..listing import listed
from .data_arguments import load_data
from .parser import command_parser
from .train_arguments import TrainArguments
from .train_summary import print_summary


COMPACT_FOLDER = "compact"


def make_parser():
    """The parser of the command's options."""
    return command_parser(
        TrainArguments,
        "train",
        "Trains a text classifier, scores every neuron of its head by the mutual information (bits) "
        "between the neuron and the label, drops the neurons that tell too little, goes on training, and saves the "
        "smaller model with a JSON report and figures. Without options: built-in data and a tiny model, "
        "no network.",
    )


def main(args: TrainArguments) -> Path | None:
    """
    Runs the job, in this process or, with `accelerate_config`, in others.

    Returns:
        `Path`: the folder of the compact checkpoint; `None` if other processes ran the job.

    Raises:
        `ValueError`: for options or data that make no sense, before any training.
        `OSError`: for a model or dataset that cannot be read.
    """
    args = resolved(args)
    config = args.pruning_config(args.seed)
    if args.accelerate_config:
        launch(["train", *command_line(args)], args.accelerate_config, args.accelerate or [])
        return None
    arguments = training_arguments(args)
    check_processes(arguments.world_size)
    with arguments.main_process_first(desc="preparing the output folder"):
        checkpoint = prepare_output_dir(Path(args.output_dir), args, clear=arguments.process_index == 0)
    started = time.perf_counter()

    from transformers import DataCollatorWithPadding, Trainer, set_seed

    from ..callback import MIDropoutCallback
    from ..metrics import compute_metrics

    with arguments.main_process_first(desc="loading the data"):
        data = load_data(
            args,
            validation_fraction=args.validation_fraction,
            max_train_rows=args.max_train_rows,
            max_eval_rows=args.max_eval_rows,
            seed=args.seed,
        )
    if arguments.process_index == 0:
        rows = ", ".join(f"{len(split):,} {name}" for name, split in data.splits.items())
        print(f"Data: {data.name}, {len(data.label_names)} classes ({listed(data.label_names)}); rows: {rows}")
        for note in data.notes:
            print(f"  {note}")
    config.check_classes(len(data.label_names))

    set_seed(args.seed)
    tokenizer, model = tokenizer_and_model(args, data)
    with arguments.main_process_first(desc="tokenizing"):
        tokenized = data.tokenize(tokenizer, args.max_length)

    callback = MIDropoutCallback(config)
    trainer = Trainer(
        model=model,
        args=arguments,
        data_collator=DataCollatorWithPadding(tokenizer),
        train_dataset=tokenized["train"],
        eval_dataset=tokenized["validation"],
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=[callback],
    )
    training_started = time.perf_counter()
    trainer.train(resume_from_checkpoint=checkpoint)
    seconds = {"preparation": training_started - started, "training": time.perf_counter() - training_started}
    if callback.record is None:
        raise ValueError(f"Training ended without a record of scores in {args.output_dir}: give a smaller --start.")
    return finish(args, data, tokenized, trainer, callback.record, seconds)


def command_line(args: TrainArguments) -> list[str]:
    """The options that give `args`, without those of the launcher."""
    options: list[str] = []
    for field in fields(args):
        value = getattr(args, field.name)
        if field.name.startswith("accelerate") or value == field.default:
            continue
        values = value if isinstance(value, list) else [value]
        options += [f"--{field.name}", *map(str, values)]
    return options


def resolved(args: TrainArguments) -> TrainArguments:
    """The options with the defaults that depend on whether a model was named."""
    length, rate = (128, 1e-4) if args.model else (64, 1e-3)
    if args.max_length is not None and args.max_length < 3:
        raise ValueError(f"max_length={args.max_length}: must be 3 or more, two of which are special tokens.")
    return replace(args, max_length=args.max_length or length, learning_rate=args.learning_rate or rate)


def finish(args: TrainArguments, data, tokenized, trainer, record, seconds: dict[str, float]) -> Path:
    """Compacts the trained model, proves it equal, tests it, and saves it with its report and figures."""
    from transformers.utils import logging as transformers_logging

    from ..calibration import reliability
    from ..figures import draw_figures
    from ..files import new_folder, write_json
    from ..head_evaluation import collect_head_inputs
    from ..inference import batches_for
    from ..model_card import write_card
    from ..pruning import verify_compaction
    from ..report import REPORT_NAME, build_report
    from ..report_parts import training_log
    from ..sharding import full_module

    started = time.perf_counter()
    tokenizer = trainer.processing_class
    # Mixed precision wraps the forward pass: to be compared in float32, the model is taken out of it.
    masked = trainer.accelerator.unwrap_model(trainer.model, keep_fp32_wrapper=False)
    masked = full_module(masked, masked.config)
    compact = masked.compact()
    split = "test" if "test" in tokenized else "validation"
    batches = batches_for(compact, tokenized[split], args.per_device_eval_batch_size, processing_class=tokenizer)
    difference = verify_compaction(masked, compact, batches)
    test = {"split": split, "rows": len(tokenized[split])}
    inputs = collect_head_inputs(compact, batches)
    test |= inputs.metrics(compact.classifier)
    test["calibration"] = reliability(inputs, compact.classifier)

    folder = Path(args.output_dir) / COMPACT_FOLDER
    if not trainer.is_world_process_zero():
        return folder
    seconds["finishing"] = time.perf_counter() - started
    seconds["total"] = sum(seconds.values())
    report = build_report(
        record,
        data,
        args.model or "tiny ALBERT, made on the spot",
        masked,
        compact,
        difference,
        test,
        asdict(args),
        seconds,
    )
    report["training_log"] = training_log(trainer.state.log_history)
    transformers_logging.disable_progress_bar()
    with new_folder(folder) as saving:
        compact.save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        write_json(saving / REPORT_NAME, report)
        figures = draw_figures(record, trainer.state.log_history, saving / "figures")
        write_card(saving, name=str(folder))
    print_summary(report, folder, [f"{figure.parent.name}/{figure.name}" for figure in figures])
    return folder


def prepare_output_dir(output_dir: Path, args: TrainArguments, clear: bool) -> str | None:
    """The checkpoint to resume from, if any; an earlier run is neither mixed with this one nor deleted unasked."""
    if args.resume:
        from transformers.trainer_utils import get_last_checkpoint

        checkpoint = get_last_checkpoint(str(output_dir)) if output_dir.is_dir() else None
        if checkpoint is None:
            raise ValueError(f"--resume: there is no checkpoint in {output_dir}.")
        return checkpoint
    if output_dir.is_dir() and any(output_dir.iterdir()) and clear:
        if not args.overwrite_output_dir:
            raise ValueError(
                f"output_dir={output_dir} is not empty: name another, or give --resume or --overwrite_output_dir."
            )
        shutil.rmtree(output_dir)
    elif output_dir.exists() and not output_dir.is_dir():
        raise ValueError(f"output_dir={output_dir} is a file: must be a folder.")
    return None


def tokenizer_and_model(args: TrainArguments, data):
    """From the checkpoint that `--model` names, or made on the spot."""
    import torch
    from transformers import AutoTokenizer

    from ..builtin_model import tiny_tokenizer_and_model
    from ..modeling_midropout_albert import MIDropoutAlbertForSequenceClassification

    head: dict[str, Any] = {"head_widths": args.head_widths, "head_activation": args.head_activation}
    head = {name: value for name, value in head.items() if value is not None}
    if args.model is None:
        return tiny_tokenizer_and_model(data, **head)
    try:
        tokenizer = AutoTokenizer.from_pretrained(args.model)
        model = MIDropoutAlbertForSequenceClassification.from_pretrained(
            args.model,
            num_labels=len(data.label_names),
            id2label=dict(enumerate(data.label_names)),
            label2id={name: index for index, name in enumerate(data.label_names)},
            dtype=torch.float32,  # checkpoints in half precision would otherwise train in it
            **head,
        )
    except OSError as error:
        raise ValueError(
            f"--model {args.model}: must be a local folder or the Hub id of an ALBERT checkpoint. {error}"
        ) from error
    limit = model.config.max_position_embeddings
    if args.max_length > limit:
        raise ValueError(f"max_length={args.max_length}: {args.model} takes at most {limit} tokens.")
    return tokenizer, model


def training_arguments(args: TrainArguments):
    """The Trainer's own arguments."""
    import torch
    from transformers import TrainingArguments

    values: dict[str, Any] = {
        "output_dir": args.output_dir,
        "num_train_epochs": args.num_train_epochs,
        "learning_rate": args.learning_rate,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "save_total_limit": 2,
        "logging_steps": 25,
        "report_to": args.report_to or [],
        "dataloader_pin_memory": torch.cuda.is_available(),
        "ddp_find_unused_parameters": False,
    }
    for name in (
        "warmup_steps", "weight_decay", "per_device_train_batch_size", "per_device_eval_batch_size",
        "gradient_accumulation_steps", "bf16", "fp16", "seed",
    ):  # fmt: skip
        values[name] = getattr(args, name)
    known = TrainingArguments.__dataclass_fields__
    for assignment in args.trainer or []:
        name, equals, text = assignment.partition("=")
        if not equals or name not in known:
            raise ValueError(f"--trainer {assignment}: must be name=value with a field of TrainingArguments.")
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    return TrainingArguments(**values)
